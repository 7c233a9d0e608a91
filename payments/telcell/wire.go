package telcell

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// checksum is the gateway's: MD5 of the key and the values, one after another.
func checksum(c payments.Connection, values ...string) string {
	sum := md5.Sum([]byte(c.Credentials["shop_key"] + strings.Join(values, "")))
	return hex.EncodeToString(sum[:])
}

// signed compares a checksum that came with ours, letter case aside. An empty key signs nothing.
func signed(c payments.Connection, got string, values ...string) bool {
	sum, err := hex.DecodeString(got)
	want, _ := hex.DecodeString(checksum(c, values...))
	return err == nil && c.Credentials["shop_key"] != "" && subtle.ConstantTimeCompare(sum, want) == 1
}

// call posts one operation, named by the field that carries the shop's id, and returns the text of the reply. The
// values after lost are what the checksum covers.
func (p *Provider) call(ctx context.Context, c payments.Connection, operation string, form url.Values, lost error, values ...string) (string, error) {
	form.Set(operation+":issuer", c.Credentials["issuer"])
	form.Set("checksum", checksum(c, values...))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.gateway(c), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := wire.Send(c.HTTP, r, lost)
	if err != nil {
		return "", err
	}
	text := string(answer.Body)
	page := strings.HasPrefix(strings.TrimSpace(text), "<") // from something in between, whatever its media type says
	switch status := answer.Status; {
	case status/100 == 4 && page, status == http.StatusTooManyRequests:
		err = payments.ErrUnavailable
	case status == http.StatusOK && !page:
		return text, nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		err = payments.ErrCredentials
	case status == http.StatusNotFound && operation == "check_bill":
		err = payments.ErrNothingNew
	case status/100 == 4:
		err = p.refusal(text, payments.ErrRefused)
	default:
		err = lost
	}
	return "", fmt.Errorf("%w: HTTP %d", err, answer.Status)
}

// refusal is what a reply means that is not what was hoped for.
func (p *Provider) refusal(reply string, otherwise error) error {
	text := strings.TrimSpace(reply)
	err := otherwise
	if known, ok := p.cfg.Refusals[text]; ok {
		err = known
	}
	return fmt.Errorf("%w: reply %q", err, word(text))
}

var wordForm = regexp.MustCompile(`^[A-Za-z_]{1,40}[0-9]{0,4}$`)

// word is a reply that may be shown to support; a longer or stranger one could hold anything.
func word(text string) string {
	if text = strings.ReplaceAll(text, " ", "_"); wordForm.MatchString(text) {
		return text
	}
	return "-"
}

// number is the form of an invoice's and a payment's number.
var number = regexp.MustCompile(`^[0-9]{1,20}$`)

// bill is what is kept of the lines of check_bill.
type bill struct {
	invoice, reference, status string
	sum                        payments.Money
	refunded                   int64
	issued, paid               time.Time
	money                      bool // the sum could be read
}

// parseBill reads lines "name=value", split at the first sign since base64 ends with more of them. False when they do
// not describe an invoice, or say something twice, or end before their checksum: a part of a sum is a sum too.
func parseBill(text, refundedLine string) (bill, bool) {
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if _, twice := lines[name]; twice {
			return bill{}, false
		}
		if ok {
			lines[name] = value
		}
	}
	b := bill{invoice: lines["invoice"], status: lines["status"], issued: at(lines["issue_time"]), paid: at(lines["paid_time"])}
	if _, whole := lines["checksum"]; !whole || !number.MatchString(b.invoice) || b.status == "" {
		return bill{}, false
	}
	b.reference, _ = reference(lines["issuer_id"])
	currency := wire.Currency(lines["currency"])
	sum, err := state.Parse(lines["sum"], currency)
	b.sum, b.money = sum, err == nil
	if back, err := state.Parse(cmp.Or(lines[refundedLine], "0"), currency); err == nil {
		b.refunded = back.Minor
	}
	return b, true
}

// reference is our order number in an issuer_id, which comes back as we sent it (base64) or decoded.
func reference(issuerID string) (string, bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(issuerID)
	if err == nil && wire.Plain(string(raw)) {
		return string(raw), true
	}
	if wire.Plain(issuerID) {
		return issuerID, true
	}
	return "", false
}

// yerevan is where the gateway's times are taken to be; they carry no zone and are shown, never compared.
var yerevan = time.FixedZone("AMT", 4*60*60)

// layout is the form of the gateway's times.
const layout = "2006-01-02 15:04:05"

func at(text string) time.Time {
	t, _ := time.ParseInLocation(layout, text, yerevan)
	return t
}

// redacted is the evidence: the buyer and the description are not in it.
func (b bill) redacted() []byte {
	raw, _ := json.Marshal(struct { // no value of it can fail
		Invoice  string         `json:"invoice"`
		Order    string         `json:"issuer_id"`
		Status   string         `json:"status"`
		Sum      payments.Money `json:"sum"`
		Refunded int64          `json:"refunded,omitempty"`
		Issued   time.Time      `json:"issue_time,omitzero"`
		Paid     time.Time      `json:"paid_time,omitzero"`
	}{b.invoice, b.reference, word(b.status), b.sum, b.refunded, b.issued, b.paid})
	return raw
}
