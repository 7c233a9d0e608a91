package arca

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// bucket is the time within which the same callback of a refund is a repetition: two equal refunds have equal callbacks.
const bucket = 10 * time.Minute

// Hear reads a callback, by GET or POST. With a callback key it must carry the key's checksum; without one it is an
// unsigned hint. Whatever it says of an operation, the order is asked for.
func (p *Provider) Hear(c payments.Connection, n payments.Notice) (payments.Heard, error) {
	fields, err := wire.Form(n)
	if err != nil {
		return payments.Heard{}, fmt.Errorf("arca: %w", err)
	}
	heard := payments.Heard{Signed: c.Credentials["callback_key"] != ""}
	if id := fields["mdOrder"]; wire.Plain(id) {
		heard.ProviderRef = id
	}
	if number := fields["orderNumber"]; wire.Plain(number) {
		heard.Reference = number
	}
	text, ok := signed(fields)
	if !ok || (heard.ProviderRef == "" && heard.Reference == "") {
		return payments.Heard{}, fmt.Errorf("%w: arca: it names no order", payments.ErrNotice)
	}
	heard.Authentic = heard.Signed && verify(c.Credentials["callback_key"], text, fields["checksum"])
	if fields["operation"] == "refunded" {
		at := n.ReceivedAt
		if at.IsZero() {
			at = p.cfg.Now()
		}
		sum := sha256.Sum256([]byte(text))
		heard.Key = fmt.Sprintf("%s@%d", hex.EncodeToString(sum[:]), at.Unix()/int64(bucket/time.Second))
	}
	return heard, nil
}

// signed is the text that the checksum is made of: all fields but two, by name, each as "name;value;". False when a
// field has a semicolon: the text could then mean other fields.
func signed(fields map[string]string) (string, bool) {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if strings.Contains(name+fields[name], ";") {
			return "", false
		}
		if name != "checksum" && name != "sign_alias" {
			text.WriteString(name + ";" + fields[name] + ";")
		}
	}
	return text.String(), true
}

// verify compares HMAC-SHA256 in hexadecimal, whatever its case. An empty key verifies nothing.
func verify(key, text, checksum string) bool {
	sum, err := hex.DecodeString(checksum)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return key != "" && err == nil && hmac.Equal(sum, mac.Sum(nil))
}
