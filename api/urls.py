"""The addresses of the API."""

from django.urls import path

from api import analytics, conversations, docs, health, memories, people

urlpatterns = [
    path("memories", memories.MemoryCollection.as_view()),
    path("memories/list", conversations.MemoryList.as_view()),
    path("memories/<int:memory_id>", memories.MemoryDetail.as_view()),
    path("memories/<int:memory_id>/history", memories.MemoryHistoryList.as_view()),
    path("interactions/recent", conversations.RecentInteractions.as_view()),
    path("analytics/summary", analytics.AnalyticsSummary.as_view()),
    path("users/<str:number>", people.PersonDetail.as_view()),
    path("users/<str:number>/export", people.PersonExport.as_view()),
    path("erasures/<uuid:receipt>", people.ErasureDetail.as_view()),
    path("schema", docs.OpenApiSchema.as_view(), name="api-schema"),
    path("docs", docs.show_docs),
    path("health/ready", health.Readiness.as_view()),
]
