package fastshift

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// guid is the form of an order number.
var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// reply is every answer of the API; a field that is no plain text is read as nothing.
type reply struct {
	Status plain `json:"status"`
	Data   struct {
		Order order  `json:"order"`
		Page  string `json:"redirect_url"`
	} `json:"data"`
}

// order is what is kept of one and, as JSON, the evidence: the payer's account is not in it.
type order struct {
	Number    plain           `json:"order_number"`
	GUID      plain           `json:"order_guid,omitempty"`
	Amount    json.RawMessage `json:"amount,omitempty"`
	Status    plain           `json:"status"`
	Created   stamp           `json:"created_at,omitempty"`
	Completed stamp           `json:"completed_at,omitempty"`
	Expires   stamp           `json:"expires_at,omitempty"`
	External  plain           `json:"external_order_id,omitempty"`
}

var figure = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,4})?$`)

func (o order) redacted() []byte {
	if !figure.Match(o.Amount) {
		o.Amount = nil
	}
	o.Created, o.Completed, o.Expires = o.Created.joined(), o.Completed.joined(), o.Expires.joined()
	raw, _ := json.Marshal(o) // no value of it can fail
	return raw
}

// plain is text that can be an identifier or a code.
type plain string

// UnmarshalJSON never fails, so that a strange field spoils no other.
func (s *plain) UnmarshalJSON(text []byte) error {
	*s = plain(read(text, wire.Plain))
	return nil
}

// layout is the form of the API's times.
const layout = "2006-01-02 15:04:05"

// stamp is a time as it was written.
type stamp string

// UnmarshalJSON never fails; what is no time is read as nothing.
func (s *stamp) UnmarshalJSON(text []byte) error {
	*s = stamp(read(text, func(raw string) bool {
		_, err := time.Parse(layout, raw)
		return err == nil
	}))
	return nil
}

func (s stamp) joined() stamp { return stamp(strings.ReplaceAll(string(s), " ", "T")) }

// read is the text in a JSON string that is fit.
func read(text []byte, fit func(string) bool) string {
	var raw string
	if json.Unmarshal(text, &raw) != nil || !fit(raw) {
		return ""
	}
	return raw
}

func (p *Provider) time(s stamp) time.Time {
	at, _ := time.ParseInLocation(layout, string(s), p.cfg.Zone)
	return at
}

// outward writes an amount as the API counts; false when that would lose a fraction.
func (p *Provider) outward(m payments.Money) (int64, bool) {
	units, fraction := m.Minor, int64(0)
	if p.cfg.Decimals == 0 {
		units, fraction = m.Minor/100, m.Minor%100
	}
	return units, fraction == 0 && m.Valid() && m.Currency == "AMD"
}

// inward reads an amount: an integer, perhaps as text. Fractions of what is counted and exponents are refused.
func (p *Provider) inward(raw json.RawMessage) (payments.Money, bool) {
	text := strings.Trim(string(raw), `"`)
	if p.cfg.Decimals == 0 {
		m, err := state.Parse(text, "AMD")
		return m, err == nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return payments.Money{Minor: n, Currency: "AMD"}, err == nil && n >= 0 && n <= state.MaxMinor
}

// answers are the documented words of an answer. About an order that is asked for, a refusal proves nothing.
var answers = map[plain]error{"UNAUTHORIZED": payments.ErrCredentials, "FORBIDDEN": payments.ErrCredentials, "NOT_FOUND": payments.ErrRefused,
	"INVALID_DATA": payments.ErrRefused, "ERROR": payments.ErrRefused, "APP_ERROR": payments.ErrUnavailable}

// words are the HTTP statuses that the document gives to those words, for answers without a readable one.
var words = map[int]plain{401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 422: "INVALID_DATA", 400: "ERROR", 500: "APP_ERROR"}

// call sends one request. Both calls may be repeated, so an unclear end is ErrUnavailable.
func (p *Provider) call(ctx context.Context, c payments.Connection, method, path string, in any) (reply, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return reply{}, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.cfg.BaseURL+path, body)
	if err != nil {
		return reply{}, fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Authorization", "Bearer "+c.Credentials["token"])
	r.Header.Set("Accept", "application/json")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := wire.Send(c.HTTP, r, payments.ErrUnavailable)
	if err != nil {
		return reply{}, err
	}
	var got reply
	readable := json.Unmarshal(answer.Body, &got) == nil
	return got, verdict(method, answer, got.Status, readable)
}

// verdict classifies an answer by its HTTP status and its word; only HTTP 2xx with the word OK is an order.
func verdict(method string, answer wire.Answer, said plain, readable bool) error {
	err := payments.ErrUnavailable
	switch known, documented := answers[said]; {
	case answer.HTML || answer.Status >= 500:
	case answer.Status/100 == 2 && readable && said == "OK":
		return nil
	case documented:
		err = known
	default:
		if of, ok := answers[words[answer.Status]]; ok {
			err = of
		}
	}
	if errors.Is(err, payments.ErrRefused) && method == http.MethodGet {
		err = payments.ErrNothingNew
	}
	return fmt.Errorf("%w: HTTP %d %s", err, answer.Status, said)
}

// hint reads the order's number and its status from a notice. Where they stand is not documented: the query, a form
// and JSON are read, and two different orders are none.
func hint(n payments.Notice) (number, status string, ok bool) {
	var object struct {
		Status string `json:"status"`
		Number string `json:"order_number"`
	}
	text := n.Query
	if json.Unmarshal(n.Body, &object) != nil {
		text += "&" + string(n.Body)
	}
	form, err := url.ParseQuery(text)
	for _, named := range append(form["order_number"], object.Number) {
		if number != "" && named != "" && named != number {
			return "", "", false
		}
		number = cmp.Or(number, named)
	}
	return strings.ToLower(number), cmp.Or(object.Status, form.Get("status")), err == nil && guid.MatchString(number)
}
