"""People who do not exist, for demonstrations and benchmarks: `manage.py make_demo_data`."""
