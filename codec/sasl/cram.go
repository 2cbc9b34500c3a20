package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 2195 says MD5
	"crypto/subtle"
	"encoding/hex"
)

// cramMD5 is the user name, a blank and the digest (RFC 2195 section 2). The name
// may have blanks, the digest has none.
func (x *Exchange) cramMD5(response []byte) Step {
	i := bytes.LastIndexByte(response, ' ')
	if i < 0 || !isName(response[:i]) {
		return Malformed
	}
	digest := bytes.ToLower(response[i+1:])
	if len(digest) != 2*md5.Size || len(bytes.Trim(digest, "0123456789abcdef")) > 0 {
		return Malformed
	}
	x.claim.User, x.claim.Digest = string(response[:i]), string(digest)
	x.claim.Need = NeedDigest
	return Judge
}

// DigestFits reports whether the claim's digest was made with the secret.
func (c *Claim) DigestFits(secret string) bool {
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write([]byte(c.Nonce))
	want := hex.AppendEncode(nil, mac.Sum(nil))
	return c.Need == NeedDigest && subtle.ConstantTimeCompare(want, []byte(c.Digest)) == 1
}
