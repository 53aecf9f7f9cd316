"""The phones one can pick up. Their numbers are reserved for fiction, so no message can reach a person."""

from dataclasses import dataclass

from accounts.timezones import infer_timezone_from_number


@dataclass(frozen=True, kw_only=True)
class Place:
    """A place a phone can share; degrees, WGS 84."""

    latitude: float
    longitude: float
    label: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A simulated sender.

    ``key`` names it in the page's addresses, so that access logs hold no numbers. ``address`` is what Twilio
    puts into ``From``; without a ``number`` it is a business-scoped id (contracts/twilio-whatsapp.md §1.2).
    """

    key: str
    name: str
    badge: str
    address: str
    number: str | None
    nearby: Place

    @property
    def time_zone(self) -> tuple[str, bool]:
        """The IANA zone a bot can infer for this phone, and whether it is certain."""
        inferred = infer_timezone_from_number(self.address)
        return inferred.zone, inferred.certain


PHONES = {
    phone.key: phone
    for phone in (
        Phone(
            key="us",
            name="United States",
            badge="US",
            address="whatsapp:+12025550123",
            number="+1 202 555 0123",
            nearby=Place(
                latitude=38.889484,
                longitude=-77.035278,
                label="Washington Monument",
                address="Washington, DC",
            ),
        ),
        Phone(
            key="gb",
            name="United Kingdom",
            badge="GB",
            address="whatsapp:+447700900123",
            number="+44 7700 900123",
            nearby=Place(
                latitude=51.476852,
                longitude=-0.000500,
                label="Royal Observatory",
                address="Greenwich, London",
            ),
        ),
        Phone(
            key="au",
            name="Australia",
            badge="AU",
            address="whatsapp:+61491570156",
            number="+61 491 570 156",
            nearby=Place(
                latitude=-33.856784, longitude=151.215297, label="Sydney Opera House", address="Sydney NSW"
            ),
        ),
        Phone(
            key="fr",
            name="France",
            badge="FR",
            address="whatsapp:+33639980123",
            number="+33 6 39 98 01 23",
            nearby=Place(latitude=48.858370, longitude=2.294481, label="Eiffel Tower", address="Paris"),
        ),
        Phone(
            key="de",
            name="Germany",
            badge="DE",
            address="whatsapp:+4915228817386",
            number="+49 152 28817386",
            nearby=Place(latitude=52.516275, longitude=13.377704, label="Brandenburg Gate", address="Berlin"),
        ),
        Phone(
            key="hidden",
            name="Hidden number",
            badge="?",
            address="whatsapp:US.10000000000000000042",
            number=None,
            nearby=Place(latitude=0.0, longitude=0.0, label="Null Island", address="Gulf of Guinea"),
        ),
    )
}
PHONES_BY_ADDRESS = {phone.address: phone for phone in PHONES.values()}
