"""A login in botocore's form: whoever signs with it asks, and gets keys that are good."""

from collections.abc import Callable

from botocore.credentials import Credentials, ReadOnlyCredentials

from .cognito import AwsKeys


class LoginCredentials(Credentials):
    """botocore's RefreshableCredentials, with the waiting and renewing done by a Login.

    That one renews at fixed times before the end, 15 minutes and more, where a login's keys may
    live for five; and it logs a traceback for every refusal.
    """

    def __init__(self, keys: Callable[[], AwsKeys], name: str) -> None:
        """keys: answers good ones. name: what is shown of it."""
        # Not the base's: it would store one set of keys for good.
        self.method = "stepgrid-login"
        self._keys = keys
        self._name = name

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Key, secret and token that belong together."""
        keys = self._keys()
        return ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token)

    @property
    def access_key(self) -> str:  # type: ignore[override]
        return self._keys().access_key_id

    @property
    def secret_key(self) -> str:  # type: ignore[override]
        return self._keys().secret_access_key

    @property
    def token(self) -> str | None:  # type: ignore[override]
        return self._keys().session_token

    @property
    def account_id(self) -> str | None:
        """Not known, and not needed to call the API."""
        return None

    def __repr__(self) -> str:
        return self._name
