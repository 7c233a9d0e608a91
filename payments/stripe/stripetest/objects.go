package stripetest

import (
	"slices"
	"strings"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
)

type object = map[string]any

func (s *Server) sessionStatus(p acquirertest.Payment) string {
	switch {
	case s.more[p.Ref].delayed != "" || p.Taken() || p.Status == acquirertest.Authorized || p.Status == acquirertest.Cancelled:
		return "complete"
	case p.Status == acquirertest.Expired:
		return "expired"
	}
	return "open"
}

func (s *Server) live() bool { return strings.HasPrefix(s.cfg.SecretKey, "sk_live_") }

// session is the Checkout Session of a payment. The payer is in it, for the client to leave out.
func (s *Server) session(p acquirertest.Payment, origin string, expand []string) object {
	d := s.more[p.Ref]
	out := object{"id": p.Ref, "object": "checkout.session", "mode": "payment", "livemode": s.live(),
		"status": s.sessionStatus(p), "payment_status": "unpaid", "amount_total": units(p.Asked), "currency": strings.ToLower(p.Asked.Currency),
		"client_reference_id": d.attempt, "metadata": s.marks(p), "expires_at": max(0, p.Deadline.Unix()), "success_url": p.ReturnURL,
		"payment_intent": nil, "url": nil}
	if p.Taken() {
		out["payment_status"] = "paid"
		out["customer_details"] = object{"email": "payer@example.com", "phone": "+37400000000", "name": "Test Buyer"}
	}
	if p.Merchant != "" {
		out["client_reference_id"] = "attempt-of-" + p.Merchant
	}
	if out["status"] == "open" && origin != "" {
		out["url"] = origin + "/c/pay/" + p.Ref
	}
	if out["status"] == "complete" || p.Status == acquirertest.Failed {
		out["payment_intent"] = d.intent
		if slices.ContainsFunc(expand, func(path string) bool { return strings.HasPrefix(path, "payment_intent") }) {
			out["payment_intent"] = s.intent(p, slices.Contains(expand, "payment_intent.latest_charge"))
		}
	}
	return out
}

// marks are the metadata that were sent with the session.
func (s *Server) marks(p acquirertest.Payment) object {
	if p.Merchant != "" {
		return object{"attempt": "attempt-of-" + p.Merchant, "order": "order-of-" + p.Merchant}
	}
	return object{"attempt": s.more[p.Ref].attempt, "order": p.Order}
}

func (s *Server) intentStatus(p acquirertest.Payment) string {
	switch {
	case p.Taken():
		return "succeeded"
	case p.Status == acquirertest.Authorized:
		return "requires_capture"
	case p.Status == acquirertest.Cancelled:
		return "canceled"
	case s.more[p.Ref].delayed == "processing":
		return "processing"
	}
	return "requires_payment_method"
}

func (s *Server) intent(p acquirertest.Payment, withCharge bool) object {
	d := s.more[p.Ref]
	out := object{"id": d.intent, "object": "payment_intent", "status": s.intentStatus(p), "amount": units(p.Asked), "amount_received": 0,
		"currency": strings.ToLower(p.Entry().Currency), "latest_charge": d.charge, "metadata": s.marks(p), "last_payment_error": nil,
		"receipt_email": "payer@example.com"}
	if p.Taken() {
		out["amount_received"] = units(p.Captured)
	}
	if withCharge {
		out["latest_charge"] = s.charge(p)
	}
	if p.Status == acquirertest.Failed || d.delayed == "failed" {
		out["last_payment_error"] = object{"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
			"message": "Your card has insufficient funds."}
	}
	return out
}

func (s *Server) charge(p acquirertest.Payment) object {
	d := s.more[p.Ref]
	out := object{"id": d.charge, "object": "charge", "amount": units(p.Asked), "amount_captured": 0, "currency": strings.ToLower(p.Entry().Currency),
		"amount_refunded": units(payments.Money{Minor: p.Refunded, Currency: p.Captured.Currency}), "captured": p.Taken(), "disputed": len(p.Disputes) > 0,
		"refunded": p.Status == acquirertest.Refunded, "payment_intent": d.intent, "metadata": s.marks(p), "created": p.PaidAt.Unix(),
		"status": "succeeded", "billing_details": object{"email": "payer@example.com", "name": "Test Buyer", "phone": "+37400000000"},
		"payment_method_details": object{"card": object{"last4": "0002", "exp_month": 12, "exp_year": 2030}}}
	if p.Taken() {
		out["amount_captured"] = units(p.Captured)
	} else if p.Status != acquirertest.Authorized {
		out["status"], out["created"] = "failed", s.Control.Clock.Now().Unix()
	}
	return out
}

// ledger is the list of refunds, with what bank staff gave back added to it.
func (s *Server) ledger(p acquirertest.Payment) []refund {
	d := s.more[p.Ref]
	left := p.Refunded
	for _, r := range d.refunds {
		if r.status != "failed" {
			left -= r.minor
		}
	}
	if left > 0 {
		d.refunds = append(d.refunds, refund{newID("re_"), "succeeded", left, object{}})
	}
	return d.refunds
}

func (s *Server) refundObject(p acquirertest.Payment, r refund) object {
	return object{"id": r.id, "object": "refund", "amount": units(payments.Money{Minor: r.minor, Currency: p.Captured.Currency}),
		"currency": strings.ToLower(p.Captured.Currency), "status": r.status, "payment_intent": s.more[p.Ref].intent, "metadata": r.metadata}
}

var disputeStatus = map[string]string{"opened": "needs_response", "won": "won", "lost": "lost"}

// disputeObject has no metadata of the payment, as Stripe's has not.
func (s *Server) disputeObject(p acquirertest.Payment, d acquirertest.Dispute) object {
	status := d.Status
	if word, ok := disputeStatus[status]; ok {
		status = word
	}
	return object{"id": d.Ref, "object": "dispute", "amount": units(payments.Money{Minor: d.Minor, Currency: p.Captured.Currency}),
		"currency": strings.ToLower(p.Captured.Currency), "status": status, "reason": "fraudulent", "charge": s.more[p.Ref].charge,
		"payment_intent": s.more[p.Ref].intent, "metadata": object{}, "evidence": object{"customer_email_address": "payer@example.com"}}
}
