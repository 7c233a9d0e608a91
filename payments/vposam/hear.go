package vposam

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
)

// Hear reads a webhook: an event {"id", "type", "data": session}, or a bare session. Only an authentic notice has a
// Key, so that a forged one with a copied id cannot shut out the genuine one.
func (p *Provider) Hear(c payments.Connection, n payments.Notice) (payments.Heard, error) {
	event, err := parseObject(n.Body)
	if err != nil {
		return payments.Heard{}, fmt.Errorf("%w: vposam", payments.ErrNotice)
	}
	s, err := parseSession(n.Body)
	if err != nil || (s.ID == "" && s.Order == "") {
		return payments.Heard{}, fmt.Errorf("%w: vposam: it names no payment", payments.ErrNotice)
	}
	at := n.ReceivedAt
	if at.IsZero() {
		at = p.cfg.Now()
	}
	heard := payments.Heard{Reference: s.Order, ProviderRef: s.ID, Signed: true}
	headers := n.Header.Values(p.cfg.SignatureHeader)
	heard.Authentic = len(headers) == 1 && p.verify(c.Credentials["webhook_secret"], headers[0], n.Body, at)
	if _, enveloped := event["data"]; enveloped && heard.Authentic {
		heard.Key = event.text("id")
	}
	return heard, nil
}

// verify checks "t=…,v1=…[,v1=…]" at the time of receipt. While a secret is rotated there are several v1, of which
// any may match; other schemes are ignored, a malformed pair spoils the header.
func (p *Provider) verify(secret, header string, body []byte, at time.Time) bool {
	if secret == "" || len(header) > 4096 {
		return false
	}
	stamp, candidates := "", [][]byte{}
	for pair := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case !ok, name == "t" && stamp != "":
			return false
		case name == "t":
			stamp = value
		case name == "v1":
			if sum, err := hex.DecodeString(value); err == nil {
				candidates = append(candidates, sum)
			}
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || at.Sub(time.Unix(seconds, 0)).Abs() > p.cfg.SignatureTolerance {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	want, good := mac.Sum(nil), false
	for _, sum := range candidates {
		good = hmac.Equal(sum, want) || good
	}
	return good
}
