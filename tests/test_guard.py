"""The guard that keeps tests on this machine."""

import socket

import pytest
import requests

from tests.conftest import StrangeAddress


def test_a_connection_to_another_machine_fails_the_test() -> None:
    with socket.socket() as client, pytest.raises(StrangeAddress):
        client.connect(("192.0.2.1", 80))
    with socket.socket() as client, pytest.raises(StrangeAddress):
        client.connect_ex(("192.0.2.1", 80))


def test_a_look_up_of_another_machine_fails_the_test() -> None:
    with pytest.raises(StrangeAddress):
        requests.get("https://api.twilio.com/", timeout=1)


def test_this_machine_may_be_talked_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
