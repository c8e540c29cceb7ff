"""A server on this machine that speaks TLS, with a certificate that it signed itself."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class TlsServer:
    """Presents a certificate for good.example.com; redirects to plain http."""

    def __init__(self, certificate: Path, location: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda sock, name, own: self.names.append(name)
        self.names: list[str | None] = []
        self._context = context
        self._location = location
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in ("200 OK", f"302 Found\r\nLocation: {self._location}", "200 OK"):
            try:
                plain, _ = self._socket.accept()
            except OSError:  # closed before it was asked so often
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.host = secure.recv(65536).decode()
                    secure.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok".encode())
            except OSError:
                plain.close()

    def close(self) -> None:
        with suppress(OSError):  # nobody was connected
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def make_certificate(name: str) -> bytes:
    """A key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    return secret + made.public_bytes(pem)
