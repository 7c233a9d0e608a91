package ameria

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// Look asks for the details of the payment. Without a PaymentID (the answer to Start was lost) it finds that first.
// A void is "cancelled" with all approved money back: if it had been captured before, that is a refund.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	n, err := p.orderID(c, o.Number)
	if err != nil && !errors.Is(err, ErrRange) { // a range that was narrowed later hides no money
		return payments.Observation{}, fmt.Errorf("ameria: look: %w", err)
	}
	if o.ProviderRef == "" {
		if o.ProviderRef, err = p.find(ctx, c, n); err != nil {
			return payments.Observation{}, err
		}
	}
	reply, err := p.call(ctx, c, "GetPaymentDetails", struct{ PaymentID, Username, Password string }{
		o.ProviderRef, c.Credentials["username"], c.Credentials["password"]}, payments.ErrNothingNew)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("ameria: look: %w", err)
	}
	obs := payments.Observation{Reference: reply.Code("OrderID"), ProviderRef: o.ProviderRef, Code: reply.Code("ResponseCode"), Raw: redacted(reply)}
	if obs.Code == "550" { // no card was tried yet, or the password is wrong: only this question tells them apart
		if _, err := p.find(ctx, c, n); err != nil {
			return obs, err
		}
		return obs, fmt.Errorf("%w: ameria: look: code 550", payments.ErrNothingNew)
	}
	return judge(obs, reply, o.Attempt, strconv.FormatInt(n, 10), c.Credentials["merchant_id"])
}

// judge turns the details into an observation.
func judge(obs payments.Observation, reply wire.Fields, attempt, number, merchant string) (payments.Observation, error) {
	status, known := statuses[reply.Code("OrderStatus")]
	switch word := reply.Code("OrderStatus"); {
	case !known && word == "" && obs.Code != "00":
		return obs, fmt.Errorf("%w: ameria: look: code %s", payments.ErrNothingNew, obs.Code)
	case !known:
		return obs, fmt.Errorf("%w: ameria: order status %q", payments.ErrUnclear, word)
	}
	if status == state.AttemptFailed {
		switch obs.Code {
		case timeOver:
			status = state.AttemptExpired
		case unsettled:
			return obs, fmt.Errorf("%w: ameria: declined with code %s", payments.ErrNothingNew, obs.Code)
		}
	}
	currency := wire.Currency(reply.Text("Currency"))
	approved, err := money(reply, "ApprovedAmount", currency)
	deposited, err2 := money(reply, "DepositedAmount", currency)
	refunded, err3 := money(reply, "RefundedAmount", currency)
	if err != nil || err2 != nil || err3 != nil || refunded.Minor > approved.Minor || (status == state.AttemptPaid && approved.Minor == 0) {
		return obs, fmt.Errorf("%w: ameria: the amounts make no sense", payments.ErrUnclear)
	}
	obs.Status, obs.Busy = status, reply.Code("OrderStatus") == authenticating
	opaque, from := reply.Text("Opaque"), reply.Text("MerchantId")
	obs.Foreign = obs.Reference != number || (opaque != "" && opaque != attempt) || (merchant != "" && from != merchant)
	switch status {
	case state.AttemptPaid:
		obs.Captured, obs.Refunded = approved, refunded
		if taken := deposited.Minor + refunded.Minor; taken > 0 && taken < approved.Minor {
			obs.Captured.Minor = taken // a hold of which only a part was confirmed
		}
		obs.PaidAt = moment(reply, "DateTime")
	case state.AttemptCancelled:
		obs.Refunded = approved
	}
	return obs, nil
}

// find asks for the PaymentID of an OrderID. ErrNothingNew when the bank knows none.
func (p *Provider) find(ctx context.Context, c payments.Connection, n int64) (string, error) {
	reply, err := p.call(ctx, c, "GetPaymentId", struct {
		ClientID, Username, Password string
		OrderID                      int64
	}{c.Credentials["client_id"], c.Credentials["username"], c.Credentials["password"], n}, payments.ErrNothingNew)
	if err != nil {
		return "", fmt.Errorf("ameria: find: %w", err)
	}
	code, id := reply.Code("ResponseCode"), strings.ToUpper(reply.Text("PaymentId"))
	switch {
	case code == "00" && id != "":
		return id, nil
	case code == "20":
		return "", fmt.Errorf("%w: ameria: find: code %s", payments.ErrCredentials, code)
	}
	return "", fmt.Errorf("%w: ameria: find: code %s", payments.ErrNothingNew, code)
}

// call posts to one operation. The bank answers 200 to almost everything and 500, as JSON, to what it cannot say; that
// is said by silent. No answer at all is ErrUnknown for a refund and ErrUnavailable for everything else.
func (p *Provider) call(ctx context.Context, c payments.Connection, operation string, in any, silent error) (wire.Fields, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base(c)+"api/VPOS/"+operation, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	lost := payments.ErrUnavailable
	if errors.Is(silent, payments.ErrUnknown) {
		lost = silent
	}
	answer, err := wire.Send(c.HTTP, r, lost)
	if err != nil {
		return nil, err
	}
	reply, readable := wire.Parse(answer.Body)
	switch {
	case answer.Status == http.StatusOK && readable:
		return reply, nil
	case answer.Status == http.StatusInternalServerError && readable:
		return nil, fmt.Errorf("%w: HTTP 500", silent)
	case answer.Status == http.StatusTooManyRequests, answer.HTML && answer.Status/100 == 4:
		return nil, fmt.Errorf("%w: HTTP %d", payments.ErrUnavailable, answer.Status)
	}
	return nil, fmt.Errorf("%w: HTTP %d", lost, answer.Status)
}

// money reads an amount in major units; an absent one is nothing.
func money(f wire.Fields, name, currency string) (payments.Money, error) {
	text := cmp.Or(f.Code(name), "0")
	if _, known := state.Exponent(currency); !known { // shown as it is, so that it can only be a mismatch
		m, err := state.Parse(text, "AMD")
		return payments.Money{Minor: m.Minor, Currency: currency}, err
	}
	return state.Parse(text, currency)
}

// yerevan is where the bank's times are taken to be; they carry no zone and are shown, never compared.
var yerevan = time.FixedZone("AMT", 4*60*60)

// moment reads a time; zero when there is none.
func moment(f wire.Fields, name string) time.Time {
	at, _ := time.ParseInLocation("02/01/2006 15:04:05", f.String(name), yerevan)
	return at
}

// redacted is the evidence. The payer's name, e-mail, address and card are not in it.
func redacted(f wire.Fields) []byte {
	evidence := f.Evidence("Amount", "ApprovedAmount", "DepositedAmount", "RefundedAmount", "Currency", "OrderID", "OrderStatus", "PaymentState",
		"PaymentType", "ResponseCode", "PrimaryRC", "ActionCode", "MerchantId", "TerminalId", "MDOrderID", "Opaque")
	if at := moment(f, "DateTime"); !at.IsZero() {
		evidence["DateTime"] = at.Format(time.RFC3339)
	}
	raw, _ := json.Marshal(evidence)
	return raw
}
