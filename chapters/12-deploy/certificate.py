"""Certificate: one for this computer, made on the first run and kept. No browser trusts it.

On a server you get yours from an authority instead, and set CERTIFICATE to the file.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from places import HERE
from settings import CERTIFICATE

KEPT = HERE / "run" / "localhost.pem"
NAMES = "DNS:localhost,IP:127.0.0.1"
DAYS = 30
OPENSSL_SECONDS = 20.0


def certificate() -> Path:
    """The file with a certificate and its key: the one that is set, the one that is there, or a new
    one. Ends the program with one line if it cannot be made.
    """
    if CERTIFICATE:
        if not Path(CERTIFICATE).is_file():
            sys.exit(f"CERTIFICATE={CERTIFICATE} is no file")
        return Path(CERTIFICATE).resolve()
    old = KEPT.stat().st_mtime if KEPT.exists() else 0.0
    if time.time() - old > (DAYS - 5) * 86400:
        make()
    return KEPT


def make() -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
        key, cert = Path(folder) / "key.pem", Path(folder) / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", str(DAYS)]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
        command += ["-addext", f"subjectAltName={NAMES}", "-keyout", str(key), "-out", str(cert)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=OPENSSL_SECONDS)
        except FileNotFoundError:
            sys.exit("openssl is not installed: install it, or set CERTIFICATE=/path/to/file.pem")
        except subprocess.SubprocessError as error:
            said = (getattr(error, "stderr", b"") or b"").decode(errors="replace").strip()
            sys.exit(f"openssl made no certificate: {said.rpartition(chr(10))[2] or error}")
        both = Path(folder) / "both.pem"
        os.close(os.open(both, os.O_CREAT | os.O_WRONLY, 0o600))  # before there is a key in it
        both.write_bytes(cert.read_bytes() + key.read_bytes())
        both.replace(KEPT)  # at once: another run may be reading
