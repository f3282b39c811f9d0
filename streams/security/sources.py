"""Where the tokens of a deployment come from, by its settings."""

from streams.security.tls import authorities
from streams.security.tokens import ClientCredentials, Renewing, TokenFile, TokenSource
from streams.settings import KafkaSettings


def token_source(kafka: KafkaSettings) -> TokenSource | None:
    """None where the login takes no token."""
    if not kafka.uses_tokens:
        return None
    if kafka.sasl_oauthbearer_token_file is not None:
        return TokenFile(kafka.sasl_oauthbearer_token_file)
    url, client_id = kafka.sasl_oauthbearer_token_url, kafka.sasl_oauthbearer_client_id
    secret = kafka.sasl_oauthbearer_client_secret
    assert url is not None, "validated"
    assert client_id is not None, "validated"
    assert secret is not None, "validated"
    tls = authorities(kafka) if url.startswith("https:") else None
    return Renewing(ClientCredentials(url, client_id, secret, kafka.sasl_oauthbearer_scope, tls).ask)
