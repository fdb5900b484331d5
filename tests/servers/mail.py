"""mail.py FOLDER STARTTLS-ADDRESS TLS-ADDRESS USER PASSWORD: a mail server with TLS that keeps mail in FOLDER/mailbox."""

import asyncio
import hmac
import mailbox
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, starttls, tls, user, password = sys.argv[1:]
box = mailbox.Maildir(os.path.join(folder, "mailbox"))


class Handler:
    """Keeps what is for example.org, in the mailbox's folder new, with the envelope as headers."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if not address.endswith("@example.org"):
            return "550 5.7.1 no relay for " + address
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        head = "Return-Path: <%s>\r\nDelivered-To: %s\r\n" % (envelope.mail_from, ", ".join(envelope.rcpt_tos))
        cipher = server.transport.get_extra_info("cipher")
        if cipher:
            head += "X-TLS: %s\r\n" % cipher[1]
        box.add(head.encode() + envelope.content)
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    good = hmac.compare_digest(data.login, user.encode()) and hmac.compare_digest(data.password, password.encode())
    return AuthResult(success=good, handled=False)


async def serve():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    common = {"hostname": "mail.example.org", "authenticator": authenticate, "auth_required": True}

    def upgraded():
        return SMTP(Handler(), tls_context=context, require_starttls=True, auth_require_tls=True, **common)

    def wrapped():  # TLS goes round the whole connection, which the protocol does not know
        return SMTP(Handler(), auth_require_tls=False, **common)

    loop = asyncio.get_running_loop()
    for factory, address, secure in ((upgraded, starttls, None), (wrapped, tls, context)):
        host, port = address.rsplit(":", 1)
        await loop.create_server(factory, host, int(port), ssl=secure)
    await asyncio.Event().wait()


asyncio.run(serve())
