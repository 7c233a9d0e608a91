package arca

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// answer is what a gateway answered; names of fields differ in case between calls.
type answer struct{ wire.Fields }

// Look asks for the order, by our order number when the answer to Start was lost. A reversal is "cancelled" with all
// money back: if it had been taken before, that is a refund. ErrNothingNew for an order that the gateway does not know.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	reply, err := p.ask(ctx, c, o.ProviderRef, o.Reference)
	if err != nil {
		return payments.Observation{Code: reply.Code("errorCode")}, fmt.Errorf("arca: look: %w", err)
	}
	return reply.judge(o, c.Credentials["terminal_id"])
}

// ask asks for an order, by its id if that is known. A merchant for whom the extended call is switched off is answered
// as one with a bad login; the short call tells them apart, and takes only an id.
func (p *Provider) ask(ctx context.Context, c payments.Connection, id, number string) (answer, error) {
	which := url.Values{"orderId": {id}}
	if id == "" {
		which = url.Values{"orderNumber": {number}}
	}
	reply, err := p.call(ctx, c, "getOrderStatusExtended.do", which, payments.ErrUnavailable)
	if err != nil {
		return reply, err
	}
	if reply.code() == "5" {
		which = url.Values{"orderId": {id}}
		if id == "" {
			which.Set("orderId", nobody)
		}
		if reply, err = p.call(ctx, c, "getOrderStatus.do", which, payments.ErrUnavailable); err != nil {
			return reply, err
		}
	}
	switch code := reply.code(); code {
	case success, "2": // 2 is the short call's word for a declined order
		return reply, nil
	case "5":
		err = payments.ErrCredentials
	case "7":
		err = payments.ErrUnavailable
	default: // 6, an unknown order, too
		err = payments.ErrNothingNew
	}
	return reply, fmt.Errorf("%w: code %s", err, reply.code())
}

// judge turns an order's state into an observation.
func (a answer) judge(o payments.Order, terminal string) (payments.Observation, error) {
	status, known := statuses[a.Code("orderStatus")]
	obs := payments.Observation{Reference: a.Code("orderNumber"), ProviderRef: o.ProviderRef, Code: a.Code("actionCode"), Raw: a.redacted()}
	id := a.id()
	if obs.ProviderRef == "" {
		obs.ProviderRef = id
	}
	switch word := a.Code("orderStatus"); {
	case !known && word == "":
		return obs, fmt.Errorf("%w: arca: no order status", payments.ErrNothingNew)
	case !known:
		return obs, fmt.Errorf("%w: arca: order status %q", payments.ErrUnclear, word)
	}
	if status == state.AttemptFailed {
		switch actions[obs.Code] {
		case expired:
			status = state.AttemptExpired
		case unsettled:
			return obs, fmt.Errorf("%w: arca: declined with action code %s", payments.ErrNothingNew, obs.Code)
		}
	}
	taken, back, ok := a.amounts(status)
	if !ok {
		return obs, fmt.Errorf("%w: arca: the amounts make no sense", payments.ErrUnclear)
	}
	obs.Status, obs.Busy = status, a.Code("orderStatus") == authenticating
	from := a.Code("terminalId")
	obs.Foreign = (obs.Reference != "" && obs.Reference != o.Reference) || (id != "" && !strings.EqualFold(id, obs.ProviderRef)) ||
		(terminal != "" && from != "" && from != terminal)
	currency := wire.Currency(a.Code("currency"))
	if status == state.AttemptPaid {
		obs.Captured, obs.PaidAt = payments.Money{Minor: taken, Currency: currency}, a.paidAt()
	}
	if status == state.AttemptPaid || status == state.AttemptCancelled {
		obs.Refunded = payments.Money{Minor: back, Currency: currency}
	}
	return obs, nil
}

// amounts are what was taken and what went back. Older answers have only the amount of the order: then a refund's size
// cannot be known, unless the refunds are listed.
func (a answer) amounts(status state.AttemptStatus) (taken, back int64, ok bool) {
	asked, ok1 := a.Minor("amount")
	detail := a.Inner("paymentAmountInfo")
	approved, ok2 := detail.Minor("approvedAmount")
	deposited, ok3 := detail.Minor("depositedAmount")
	back, ok4 := detail.Minor("refundedAmount")
	if len(detail) == 0 {
		approved, back = asked, a.refunds()
		if deposited, ok3 = a.Minor("depositAmount"); deposited > 0 && a.Code("orderStatus") == "2" {
			approved = deposited // the short call
		}
		deposited = 0
		ok2 = a.Code("orderStatus") != "4" || back > 0
	}
	taken = approved
	if sum := deposited + back; deposited > 0 && sum < approved {
		taken = sum // a hold of which only a part was taken
	}
	if status == state.AttemptCancelled {
		back = approved
	}
	paid := status == state.AttemptPaid
	sense := ok1 && ok2 && ok3 && ok4 && back <= taken && (!paid || taken > 0 && a.Code("currency") != "")
	return taken, back, sense
}

// refunds is the sum of the listed refunds that were carried out.
func (a answer) refunds() (sum int64) {
	var list []json.RawMessage
	_ = json.Unmarshal(a.Fields["refunds"], &list)
	for _, raw := range list {
		refund, _ := wire.Parse(raw)
		if minor, ok := refund.Minor("amount"); ok && refund.Code("actionCode") == success && sum <= state.MaxMinor {
			sum += minor
		}
	}
	return sum
}

// id is the gateway's id of the order, from its attributes.
func (a answer) id() string {
	var list []json.RawMessage
	_ = json.Unmarshal(a.Fields["attributes"], &list)
	for _, raw := range list {
		if attribute, _ := wire.Parse(raw); attribute.Text("name") == "mdOrder" {
			return attribute.Text("value")
		}
	}
	return ""
}

// paidAt is when the card was asked, or when the order was registered: milliseconds since 1970.
func (a answer) paidAt() time.Time {
	for _, name := range []string{"authDateTime", "date"} {
		if ms, err := strconv.ParseInt(a.Code(name), 10, 64); err == nil && ms > 0 {
			return time.UnixMilli(ms).UTC()
		}
	}
	return time.Time{}
}

// redacted is the evidence. The payer's name, address and card are not in it.
func (a answer) redacted() []byte {
	evidence := a.Evidence("orderNumber", "orderStatus", "actionCode", "errorCode", "amount", "currency", "depositAmount", "terminalId",
		"authRefNum", "date", "authDateTime")
	for name, value := range a.Inner("paymentAmountInfo").Evidence("approvedAmount", "depositedAmount", "refundedAmount", "paymentState") {
		evidence[name] = value
	}
	if id := a.id(); id != "" {
		evidence["mdOrder"] = id
	}
	raw, _ := json.Marshal(evidence)
	return raw
}

// call posts a form with the login to one operation, never in the address. What is unclear at the end is lost.
func (p *Provider) call(ctx context.Context, c payments.Connection, operation string, form url.Values, lost error) (answer, error) {
	base, err := p.base(c)
	if err != nil {
		return answer{}, err
	}
	form.Set("userName", c.Credentials["username"])
	form.Set("password", c.Credentials["password"])
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+operation, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	got, err := wire.Send(c.HTTP, r, lost)
	if err != nil {
		return answer{}, err
	}
	fields, readable := wire.Parse(got.Body)
	switch {
	case got.Status == http.StatusOK && readable:
		return answer{fields}, nil
	case got.Status == http.StatusTooManyRequests, got.HTML && got.Status/100 == 4: // not from the gateway's API
		return answer{}, fmt.Errorf("%w: HTTP %d", payments.ErrUnavailable, got.Status)
	}
	return answer{}, fmt.Errorf("%w: HTTP %d", lost, got.Status)
}
