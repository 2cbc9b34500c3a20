// Sends one message with nodemailer:
// nodemailer.cjs HOST PORT implicit|upgraded CA MECHANISM USER PASSWORD FROM FILE RCPT...
// Without a mechanism it does not log in. The status is 1 if anybody is refused.
const fs = require("fs");
const nodemailer = require("nodemailer");

const [host, port, mode, ca, mechanism, user, pass, from, file, ...to] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host, port, secure: mode === "implicit", requireTLS: true,
  tls: { ca: fs.readFileSync(ca), servername: "mx.localhost" },
  ...(mechanism && { auth: { user, pass }, authMethod: mechanism }),
});
transport.sendMail({ envelope: { from, to }, raw: fs.readFileSync(file) }, (err, info) => {
  console.log(err || info);
  process.exitCode = err || info.rejected.length ? 1 : 0;
});
