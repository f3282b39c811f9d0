"""A broker that lets nobody in without a proof: TLS, all logins, access control; and the proofs that tests show it.

Doors beside the one for the broker itself (PLAINTEXT, whose nameless user may do everything: it is how the test
sets the stage): SASL_SSL with PLAIN, SCRAM and OAUTHBEARER, SSL that demands a client's certificate, SASL_SSL whose
certificate has expired, SASL_SSL that tells clients a name which is in no certificate, and SASL without TLS.
Certificates are made anew each time. Tokens are not signed: Kafka has a validator for that, made for development.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streams.dev.kafka_process import KafkaProcess
from streams.dev.ports import LOOPBACK, free_ports
from streams.security.permissions import Operation, Permission, Resource

PASSWORD: Final = "correct-horse-battery-7"
KEY_PASSWORD: Final = "staple-of-the-key-9"
NAME: Final = "broker.pegel.test"
SCRAM_ITERATIONS: Final = 4_096

USAGE: Final = {
    "digital_signature": True,
    "key_cert_sign": True,
    "crl_sign": True,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}

PROPERTIES: Final = """
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller},LOGIN://{host}:{login},MUTUAL://{host}:{mutual},\
STALE://{host}:{stale},OPEN://{host}:{open_login},ASTRAY://{host}:{astray}
advertised.listeners=PLAINTEXT://{host}:{port},LOGIN://{host}:{login},MUTUAL://{host}:{mutual},STALE://{host}:{stale},\
OPEN://{host}:{open_login},ASTRAY://localhost:{astray}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL,MUTUAL:SSL,STALE:SASL_SSL,\
OPEN:SASL_PLAINTEXT,ASTRAY:SASL_SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
connection.failed.authentication.delay.ms=0
ssl.truststore.type=PEM
ssl.keystore.type=PEM
ssl.truststore.location={folder}/ca.pem
ssl.keystore.location={folder}/broker.pem
listener.name.stale.ssl.keystore.type=PEM
listener.name.stale.ssl.keystore.location={folder}/expired.pem
listener.name.mutual.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT
"""
JAAS: Final = """\
listener.name.{name}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.{name}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.{name}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.{name}.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = x509.KeyUsage(**USAGE)
        self._certificate = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, expired: bool = False, password: str | None = None) -> Identity:
        """For a server at 127.0.0.1 and `NAME`, or for a client called `name`; `name`.pem holds both parts."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), x509.DNSName(NAME)] if name != "nowhere" else
            [x509.DNSName("elsewhere.pegel.test")]
        )  # fmt: skip
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = self._builder(subject, key, days=-1 if expired else 2).add_extension(names, critical=False)
        builder = builder.add_extension(usages, critical=False).add_extension(identifier, critical=False)
        certificate = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True).sign(
            self._key, hashes.SHA256()
        )
        how: KeySerializationEncryption = (
            NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        )
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
        certificate_pem = certificate.public_bytes(Encoding.PEM) + self.file.read_bytes()
        found = Identity(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        found.certificate.write_bytes(certificate_pem)
        found.key.write_bytes(key_pem)
        (self._folder / f"{name}.pem").write_bytes(key_pem + certificate_pem)
        return found

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 2) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=3))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )


class SecuredKafka(KafkaProcess):
    """Kafka with more doors. `users` can log in with `PASSWORD`."""

    def __init__(self, *, java: str, classpath: str, folder: Path, users: Iterable[str]) -> None:
        super().__init__(java=java, classpath=classpath, folder=folder)
        self.users = tuple(users)
        self._ports = dict(zip(("login", "mutual", "stale", "open_login", "astray"), free_ports(5), strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder, "ca")
        self.stranger = Authority(folder, "stranger")
        self.authority.issue("broker")
        self.authority.issue("expired", expired=True)

    def address(self, door: str, host: str = LOOPBACK) -> str:
        return f"{host}:{self._ports[door]}"

    def _written_properties(self) -> Path:
        file = super()._written_properties()
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in self.users)
        with file.open("a", encoding="utf-8") as more:
            more.write(
                PROPERTIES.format(
                    host=LOOPBACK,
                    port=self.bootstrap.rpartition(":")[2],
                    controller=self._controller_port,
                    folder=self._folder,
                    **self._ports,
                )
            )
            for name in ("login", "stale", "open", "astray"):
                more.write(JAAS.format(name=name, users=users))
        return file

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def enrol(self) -> None:
        """Give every user a SCRAM password, by both mechanisms."""
        admin = self.admin()  # its futures end with it
        for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # a user once in a request
            info = ScramCredentialInfo(kind, SCRAM_ITERATIONS)
            wanted = [UserScramCredentialUpsertion(name, info, PASSWORD.encode()) for name in self.users]
            for future in admin.alter_user_scram_credentials(wanted).values():
                future.result()

    def allow(self, user: str, permissions: Iterable[Permission]) -> None:
        admin = self.admin()
        for future in admin.create_acls([_binding(user, one) for one in permissions]).values():
            future.result()

    def forbid(self, user: str, permission: Permission) -> None:
        """Take back what was allowed."""
        binding = _binding(user, permission)
        like = AclBindingFilter(
            binding.restype, binding.name, binding.resource_pattern_type, binding.principal, "*",
            binding.operation, binding.permission_type,
        )  # fmt: skip
        admin = self.admin()
        for future in admin.delete_acls([like]).values():
            assert len(future.result()) == 1, permission


RESOURCES: Final = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS: Final = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.CREATE: AclOperation.CREATE,
    Operation.DELETE: AclOperation.DELETE,
    Operation.ALTER: AclOperation.ALTER,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS: AclOperation.ALTER_CONFIGS,
}


def _binding(user: str, permission: Permission) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if permission.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        RESOURCES[permission.resource], permission.name, pattern, f"User:{user}", "*",
        OPERATIONS[permission.operation], AclPermissionType.ALLOW,
    )  # fmt: skip
