package stripetest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// announce sends the event of what the payment has become.
func (s *Server) announce(p acquirertest.Payment, n int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.speak(p, n, delay)
}

// speak is announce for who holds the lock.
func (s *Server) speak(p acquirertest.Payment, n int, delay time.Duration) {
	d := s.more[p.Ref]
	kind, about := "checkout.session.completed", s.session(p, "", nil)
	switch {
	case len(p.Disputes) > 0:
		last := p.Disputes[len(p.Disputes)-1]
		kind, about = "charge.dispute.closed", s.disputeObject(p, last)
		if last.Status == "opened" {
			kind = "charge.dispute.created"
		}
	case p.Refunded > 0:
		s.ledger(p)
		kind, about = "charge.refunded", s.charge(p)
	case p.Status == acquirertest.Failed:
		kind, about = "payment_intent.payment_failed", s.intent(p, false)
	case d.completed:
		kind, about = "payment_intent.succeeded", s.intent(p, false)
	default:
		d.completed = true
	}
	s.tell(kind, about, n, delay)
}

// tell sends an event, signed anew for each try.
func (s *Server) tell(kind string, about object, n int, delay time.Duration) {
	hook := s.hook
	body, _ := json.Marshal(object{"id": newID("evt_"), "object": "event", "type": kind, "created": s.cfg.Dates().Unix(),
		"livemode": s.live(), "api_version": "2024-12-18.acacia", "data": object{"object": about}})
	s.courier.Send(acquirertest.Notice{Name: "notice " + kind, Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		if hook == "" {
			return nil, errors.New("no webhook is registered")
		}
		secrets := []string{s.cfg.WebhookSecret}
		if s.cfg.OldWebhookSecret != "" {
			secrets = []string{s.cfg.OldWebhookSecret, s.cfg.WebhookSecret}
		}
		if forged {
			secrets = []string{"whsec_not_the_secret"}
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json; charset=utf-8")
			r.Header.Set("Stripe-Signature", Sign(body, s.cfg.Dates(), secrets...))
		}
		return r, err
	}}, n, delay)
}

// Sign is the signature header of an event sent at this time, with one v1 for each secret and a v0 that means nothing.
func Sign(body []byte, at time.Time, secrets ...string) string {
	header := "t=" + strconv.FormatInt(at.Unix(), 10)
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write(append([]byte(strconv.FormatInt(at.Unix(), 10)+"."), body...))
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header + ",v0=00"
}

// orphan is a payment for an order that was never made.
func (s *Server) orphan(amount payments.Money, hook string) acquirertest.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hook != "" {
		s.hook = hook
	}
	p := s.books.Add(acquirertest.Payment{Ref: newID("cs_test_"), Order: newID("orphan-"), Asked: amount, Captured: amount,
		Status: acquirertest.Captured, PaidAt: s.Control.Clock.Now()})
	s.more[p.Ref] = &details{intent: newID("pi_"), charge: newID("ch_"), attempt: newID("attempt-")}
	return p
}

// moved adapts what only Stripe has to the control API.
func (s *Server) moved(do func(p acquirertest.Payment, status string) (acquirertest.Payment, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Ref, Status string }
		if !standintest.Decode(w, r, &in) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		p, ok := s.find(in.Ref)
		if !ok {
			standintest.Answer(w, http.StatusNotFound, object{"error": "no such payment"})
			return
		}
		p, err := do(p, in.Status)
		if err != nil {
			standintest.Answer(w, http.StatusConflict, object{"error": err.Error()})
			return
		}
		standintest.Answer(w, http.StatusOK, p.Entry())
	}
}

// delay moves a payment by a method that takes days: the session is complete, and the money comes or not.
func (s *Server) delay(p acquirertest.Payment, status string) (acquirertest.Payment, error) {
	d := s.more[p.Ref]
	kind := ""
	p, err := s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
		switch {
		case status == "processing" && p.Open():
			p.Status, p.Deadline, kind = acquirertest.Pending, time.Time{}, "checkout.session.completed"
		case status == "failed" && d.delayed == "processing":
			kind = "checkout.session.async_payment_failed"
		case status == "succeeded" && d.delayed == "processing":
			p.Status, p.Captured, p.PaidAt, kind = acquirertest.Captured, p.Asked, s.Control.Clock.Now(), "checkout.session.async_payment_succeeded"
		default:
			return acquirertest.ErrNotNow
		}
		return nil
	})
	if err == nil {
		d.delayed, d.completed = status, true
		s.tell(kind, s.session(p, "", nil), 1, 0)
	}
	return p, err
}

// settle moves the last refund; one that fails has moved no money.
func (s *Server) settle(p acquirertest.Payment, status string) (acquirertest.Payment, error) {
	all := s.ledger(p)
	if len(all) == 0 || all[len(all)-1].status == "failed" || (status != "succeeded" && status != "failed" && status != "pending") {
		return p, acquirertest.ErrNotNow
	}
	last := &all[len(all)-1]
	last.status = status
	kind := "refund.updated"
	if status == "failed" {
		kind = "refund.failed"
		p, _ = s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
			p.Refunded -= last.minor
			p.Status = acquirertest.Partly
			if p.Refunded == 0 {
				p.Status = acquirertest.Captured
			}
			return nil
		})
	}
	s.tell(kind, s.refundObject(p, *last), 1, 0)
	return p, nil
}
