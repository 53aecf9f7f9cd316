"""Secrets a fresh machine needs before anybody has chosen any: made once, kept under ``DATA_DIR``."""

import json
import os
import secrets
import tempfile
from pathlib import Path


def load_or_create_secrets(data_dir: Path) -> dict[str, str]:
    """Return the generated secrets of this installation, making them at the first call.

    Keys: ``SECRET_KEY``, ``SIMULATOR_ACCOUNT_SID``, ``SIMULATOR_AUTH_TOKEN``. The file is readable by its owner only.
    Raises OSError when ``data_dir`` cannot be written.
    """
    path = data_dir / "secrets.json"
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        pass
    data_dir.mkdir(parents=True, exist_ok=True)
    made = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SIMULATOR_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "SIMULATOR_AUTH_TOKEN": secrets.token_hex(16),
    }
    # Several processes may start at once. Writing aside and linking makes one of them win with a whole file.
    handle, scratch = tempfile.mkstemp(dir=data_dir, prefix=".secrets-")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(made, file, indent=1)
        os.link(scratch, path)
    except FileExistsError:
        made = dict(json.loads(path.read_text()))
    finally:
        os.unlink(scratch)
    return made
