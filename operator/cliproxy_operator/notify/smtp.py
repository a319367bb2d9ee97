"""One mail to one SMTP server: STARTTLS (or TLS from the start on port 465), login, send.

Each mail has its own connection: alerts are rare, and an idle connection would be broken when it matters.
"""

import ssl
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from cliproxy_api.resources.alertrule import Email
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.notify.outcome import Delivered, Later, Never, Outcome

TIMEOUT_S: Final = 20.0
IMPLICIT_TLS_PORT: Final = 465
PERMANENT: Final = 500
"""Replies from here on mean that the same mail will be refused again (RFC 5321 section 4.2.1)."""


async def send_mail(
    mail: EmailMessage, email: Email, password: Hidden | None, *, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Send once and judge what came of it; never raises for what a server or a network does."""
    host, _, port = email.smtp_host.rpartition(":")
    implicit = int(port) == IMPLICIT_TLS_PORT
    client = aiosmtplib.SMTP(
        hostname=host,
        port=int(port),
        timeout=timeout_s,
        use_tls=implicit,
        start_tls=False,
        # Reads SSL_CERT_FILE and SSL_CERT_DIR, so that a private CA can be trusted.
        tls_context=ssl.create_default_context(),
    )
    try:
        async with client:
            if email.start_tls and not implicit:
                await client.ehlo()
                if not client.supports_extension("starttls"):
                    return Never(f"{host} offers no STARTTLS, and the rule insists on it")
                await client.starttls()
            if email.username is not None and password is not None:
                await client.login(email.username, password.reveal())
            refused, _ = await client.send_message(mail)
    except (aiosmtplib.SMTPException, OSError) as error:
        return _judged(error, host, timeout_s)
    if refused:
        some = ", ".join(sorted(refused)[:3])
        # Those who have it must not get it again and again.
        return Delivered(f"{host} took the mail, but not for {some}")
    return Delivered()


def _judged(error: Exception, host: str, timeout_s: float) -> Outcome:
    match error:
        case aiosmtplib.SMTPAuthenticationError(code=code):
            if code >= PERMANENT:
                words = f"refuses the login ({code}); check username and the Secret's value"
            else:  # 454: it cannot check anybody's (RFC 4954 section 6)
                words = f"cannot check the login now ({code})"
            return _of_code(code, f"{host} {words}")
        case aiosmtplib.SMTPRecipientsRefused(recipients=recipients):
            codes = sorted({one.code for one in recipients})
            words = f"{host} refuses every recipient ({', '.join(map(str, codes))})"
            return _of_code(min(codes, default=PERMANENT), words)
        case aiosmtplib.SMTPResponseException(code=code):
            return _of_code(code, f"{host} answered {code}")
        case aiosmtplib.SMTPNotSupported():
            return Never(f"{host} does not offer a login with a password")
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return Later(f"{host} did not answer within {timeout_s:g} s")
        case _:
            what = "offers no TLS that is trusted here" if _is_tls(error) else "cannot be reached"
            return Later(f"{host} {what} ({type(error).__name__})")


def _of_code(code: int, words: str) -> Outcome:
    return Never(words) if code >= PERMANENT else Later(words)


def _is_tls(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, ssl.SSLError) or _is_tls(error.__cause__))
