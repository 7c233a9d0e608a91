package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
)

// event is what is read of a notice (API reference, "Events").
type event struct {
	Object  plain `json:"object"`
	ID      plain `json:"id"`
	Live    *bool `json:"livemode"`
	Account plain `json:"account"` // of Connect, which we do not use
	Data    struct {
		Object struct {
			Object   plain              `json:"object"`
			ID       plain              `json:"id"`
			Intent   expandable[intent] `json:"payment_intent"`
			Metadata marks              `json:"metadata"`
		} `json:"object"`
	} `json:"data"`
}

// Hear reads an event. Only an authentic one has a Key, so that a forged one with a copied id cannot shut out the
// genuine one. An event of the other mode or of a connected account is not authentic here.
func (p *Provider) Hear(c payments.Connection, n payments.Notice) (payments.Heard, error) {
	var e event
	if json.Unmarshal(n.Body, &e) != nil || e.Object != "event" || e.ID == "" {
		return payments.Heard{}, fmt.Errorf("%w: stripe: not an event", payments.ErrNotice)
	}
	at := n.ReceivedAt
	if at.IsZero() {
		at = p.cfg.Now()
	}
	heard := payments.Heard{Signed: true}
	heard.Reference, heard.ProviderRef = e.about()
	headers := n.Header.Values("Stripe-Signature")
	if len(headers) == 1 && e.Account == "" && !wrongMode(e.Live, c) {
		s, ok := parseSignature(headers[0])
		heard.Authentic = ok && at.Sub(s.at).Abs() <= p.cfg.Tolerance && s.of(c.Credentials["webhook_secret"], n.Body)
	}
	if heard.Authentic {
		heard.Key = string(e.ID)
	}
	return heard, nil
}

// about names the order and the session or payment. Disputes and refunds made by hand carry no metadata, only the
// payment; everything else without our metadata is not ours, and named as nothing.
func (e event) about() (order, ref string) {
	o := e.Data.Object
	ours := o.Metadata.Attempt != ""
	switch {
	case ours && (o.Object == "checkout.session" || o.Object == "payment_intent"):
		return string(o.Metadata.Order), string(o.ID)
	case o.Object == "dispute", o.Object == "refund", ours && o.Object == "charge":
		return string(o.Metadata.Order), string(o.Intent.id())
	}
	return "", ""
}

// signature is a Stripe-Signature header (Webhooks, "Verify manually").
type signature struct {
	stamp string
	at    time.Time
	sums  [][]byte // of scheme v1; while a secret is rotated there are several
}

// parseSignature reads "t=…,v1=…[,v1=…][,v0=…]". Other schemes and sums that are not hex are skipped; a pair without a
// value, a second time or none spoils the header.
func parseSignature(header string) (s signature, ok bool) {
	if len(header) > 4096 {
		return s, false
	}
	for pair := range strings.SplitSeq(header, ",") {
		scheme, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			return s, false
		}
		if scheme == "v1" {
			if sum, err := hex.DecodeString(value); err == nil {
				s.sums = append(s.sums, sum)
			}
			continue
		}
		if scheme != "t" {
			continue
		}
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || s.stamp != "" {
			return s, false
		}
		s.stamp, s.at = value, time.Unix(seconds, 0)
	}
	return s, s.stamp != ""
}

// of says whether any sum is that of this body under the whole secret. An empty secret signs nothing.
func (s signature) of(secret string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(s.stamp + "."))
	mac.Write(body)
	want, good := mac.Sum(nil), 0
	for _, sum := range s.sums {
		if hmac.Equal(sum, want) {
			good++
		}
	}
	return secret != "" && good > 0
}
