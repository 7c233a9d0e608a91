package stripe

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

// statuses are the documented pairs of a session's status and payment_status. Nothing asked for is paid with nothing
// captured, which sends it to a person: we never ask for nothing.
var statuses = map[string]state.AttemptStatus{
	"open/unpaid": state.Pending, "complete/paid": state.AttemptPaid, "complete/unpaid": state.Pending,
	"expired/unpaid": state.AttemptExpired, "complete/no_payment_required": state.AttemptPaid,
}

// intents are the documented statuses of a PaymentIntent, as far as they say more than a complete, unpaid session: that
// is one whose method takes days, or whose money is only held. There a missing method means that it failed.
var intents = map[plain]state.AttemptStatus{
	"requires_payment_method": state.AttemptFailed, "requires_confirmation": state.Pending, "requires_action": state.Pending,
	processing: state.Pending, "requires_capture": state.Authorized, "canceled": state.AttemptCancelled, "succeeded": state.AttemptPaid,
}

const processing plain = "processing"

// disputes are the documented statuses. An inquiry (warning) takes no money yet but has its date to answer by; one that
// was closed, prevented or settled by a refund takes none any more.
var disputes = map[plain]state.FactKind{
	"warning_needs_response": state.DisputeOpened, "warning_under_review": state.DisputeOpened, "warning_closed": state.DisputeWon,
	"needs_response": state.DisputeOpened, "under_review": state.DisputeOpened, "won": state.DisputeWon, "lost": state.DisputeLost,
	"prevented": state.DisputeWon, "charge_refunded": state.DisputeWon,
}

// Look asks for the session with its payment and, once it is paid, for refunds and disputes. An order whose ProviderRef
// is a payment (pi_…, as events about disputes name it) is found by that; one that is not ours is ErrNothingNew.
func (p *Provider) Look(ctx context.Context, c payments.Connection, o payments.Order) (payments.Observation, error) {
	s, err := p.session(ctx, c, o.ProviderRef)
	if err != nil {
		return payments.Observation{}, fmt.Errorf("stripe: look: %w", err)
	}
	if s.Metadata.Attempt == "" && o.Attempt == "" {
		return payments.Observation{}, fmt.Errorf("%w: stripe: look: this session was not opened by us", payments.ErrNothingNew)
	}
	obs, err := p.observe(s, c, o)
	if err != nil || obs.Status != state.AttemptPaid || s.Intent.id() == "" {
		return obs, err
	}
	if err := p.later(ctx, c, &s, &obs); err != nil {
		return payments.Observation{}, fmt.Errorf("stripe: look: %w", err)
	}
	obs.Raw = s.redacted()
	return obs, nil
}

// session reads one by its id or by its payment's.
func (p *Provider) session(ctx context.Context, c payments.Connection, ref string) (session, error) {
	const payment = "payment_intent.latest_charge"
	var s session
	var err error
	switch {
	case !wire.Plain(ref):
		return s, fmt.Errorf("%w: no session was opened", payments.ErrNothingNew)
	case strings.HasPrefix(ref, "pi_"):
		var got page[session]
		err = p.call(ctx, c, request{http.MethodGet, sessionsPath, url.Values{"payment_intent": {ref}, "limit": {"1"}, "expand[]": {"data." + payment}},
			"", payments.ErrUnavailable}, &got)
		if err == nil && len(got.Data) == 0 {
			return s, fmt.Errorf("%w: the payment has no session", payments.ErrNothingNew)
		}
		if err == nil {
			s = got.Data[0]
		}
	default:
		err = p.call(ctx, c, request{http.MethodGet, sessionsPath + "/" + url.PathEscape(ref), url.Values{"expand[]": {payment}},
			"", payments.ErrUnavailable}, &s)
	}
	if err == nil && s.ID == "" {
		err = fmt.Errorf("%w: the answer names no session", payments.ErrUnavailable)
	}
	return s, err
}

// find looks for an attempt's session among the newest. ErrStarted when it is not there.
func (p *Provider) find(ctx context.Context, c payments.Connection, attempt string) (session, error) {
	var found session
	err := list(ctx, p, c, sessionsPath, url.Values{}, func(s session) bool {
		if string(s.Attempt) == attempt {
			found = s
		}
		return found.ID != ""
	})
	if err == nil && found.ID == "" {
		err = fmt.Errorf("%w: with other parameters", payments.ErrStarted)
	}
	return found, err
}

// observe judges a session.
func (p *Provider) observe(s session, c payments.Connection, o payments.Order) (payments.Observation, error) {
	obs := payments.Observation{Reference: string(s.Metadata.Order), ProviderRef: string(s.ID), Code: string(s.code()), Raw: s.redacted()}
	status, known := statuses[string(s.Status+"/"+s.Payment)]
	if i := s.Intent.object; known && i != nil && s.Status == "complete" && s.Payment == "unpaid" {
		status, known = intents[i.Status]
	}
	if !known {
		return obs, fmt.Errorf("%w: stripe: the session is %s", payments.ErrUnclear, obs.Code)
	}
	obs.Foreign = p.foreign(s, c, o)
	if status != state.AttemptPaid {
		// A complete session that waits for the customer, such as for a transfer, is only open in another way.
		i := s.Intent.object
		obs.Status, obs.Busy = status, status == state.Pending && s.Status == "complete" && (i == nil || i.Status == processing)
		return obs, nil
	}
	minor, currency, ok := s.taken()
	captured, fits := p.inward(minor, currency)
	if !ok || !fits {
		return obs, fmt.Errorf("%w: stripe: paid, but the amount makes no sense", payments.ErrUnclear)
	}
	obs.Status, obs.Captured = status, captured
	if i := s.Intent.object; i != nil && i.Charge.object != nil && i.Charge.object.Created > 0 {
		obs.PaidAt = time.Unix(i.Charge.object.Created, 0).UTC()
	}
	return obs, nil
}

// foreign says whether the session is another than was asked about, or of the other mode than the key.
func (p *Provider) foreign(s session, c payments.Connection, o payments.Order) bool {
	other := strings.HasPrefix(o.ProviderRef, "cs_") && string(s.ID) != o.ProviderRef
	if o.Attempt != "" {
		other = other || string(s.Attempt) != o.Attempt || (s.Metadata.Order != "" && string(s.Metadata.Order) != o.Reference)
	}
	return other || wrongMode(s.Live, c)
}

// wrongMode says whether a test object came to a live key or the other way round.
func wrongMode(live *bool, c payments.Connection) bool {
	_, rest, _ := strings.Cut(c.Credentials["secret_key"], "_")
	mode, _, _ := strings.Cut(rest, "_")
	return live != nil && (mode == "test" || mode == "live") && *live != (mode == "live")
}

// code is the word that says most of why.
func (s session) code() plain {
	if i := s.Intent.object; i != nil && i.Status != "succeeded" {
		return cmp.Or(i.Problem.Decline, i.Problem.Code, i.Status)
	}
	return cmp.Or(s.Status, "-") + "." + cmp.Or(s.Payment, "-")
}

// taken is what was captured, in Stripe's unit: by the charge, else by the payment, else by the session.
func (s session) taken() (minor int64, currency string, ok bool) {
	i := s.Intent.object
	amount, code := s.Total, s.Currency
	switch {
	case s.Payment == "no_payment_required":
		return 0, strings.ToUpper(string(s.Currency)), true
	case i != nil && i.Charge.object != nil && i.Charge.object.Captured != nil:
		amount, code = i.Charge.object.Captured, i.Charge.object.Currency
	case i != nil:
		amount, code = i.Received, i.Currency
	}
	if amount == nil {
		return 0, strings.ToUpper(string(code)), false
	}
	return *amount, strings.ToUpper(string(code)), *amount > 0
}

// later adds what happened to the money afterwards. Refunds that succeeded count, and pending ones do not yet; one that
// failed may have been called succeeded before.
func (p *Provider) later(ctx context.Context, c payments.Connection, s *session, obs *payments.Observation) error {
	_, currency, _ := s.taken()
	about := func() url.Values { return url.Values{"payment_intent": {string(s.Intent.id())}} }
	if err := list(ctx, p, c, refundsPath, about(), func(r refund) bool { // of one that failed the charge itself says nothing
		s.Refunds = append(s.Refunds, r)
		return false
	}); err != nil {
		return fmt.Errorf("refunds: %w", err)
	}
	if err := list(ctx, p, c, disputesPath, about(), func(d dispute) bool {
		s.Disputes = append(s.Disputes, d)
		return false
	}); err != nil {
		return fmt.Errorf("disputes: %w", err)
	}
	var back int64
	for _, r := range s.Refunds {
		amount, ok := p.inward(r.Amount, currency)
		switch {
		case !ok || amount.Minor == 0 || r.ID == "":
		case r.Status == "succeeded":
			back += r.Amount
		case r.Status == "failed" || r.Status == "canceled":
			obs.Failed = append(obs.Failed, payments.FailedRefund{Ref: string(cmp.Or(r.Metadata.Refund, r.ID)), Amount: amount})
		}
	}
	refunded, ok := p.inward(back, currency)
	if !ok || refunded.Minor > obs.Captured.Minor {
		return fmt.Errorf("%w: more went back than was taken", payments.ErrUnclear)
	}
	obs.Refunded = refunded
	for _, d := range s.Disputes {
		amount, ok := p.inward(d.Amount, strings.ToUpper(string(d.Currency)))
		if kind, known := disputes[d.Status]; known && ok && d.ID != "" {
			obs.Disputes = append(obs.Disputes, payments.Dispute{Ref: string(d.ID), Amount: amount, Status: kind})
		}
	}
	return nil
}
