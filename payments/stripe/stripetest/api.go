package stripetest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
)

// reply is what an Idempotency-Key was answered with.
type reply struct {
	params [sha256.Size]byte
	at     time.Time
	body   json.RawMessage
}

// once runs do for a new Idempotency-Key, and repeats the answer for a known one (API reference, "Idempotent requests").
// Refusals are not kept.
func (s *Server) once(w http.ResponseWriter, r *http.Request, do func() (any, int, string)) {
	key, params := r.Header.Get("Idempotency-Key"), sha256.Sum256([]byte(r.URL.Path+"?"+r.PostForm.Encode()))
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.replies[key]
	now := s.Control.Clock.Now()
	switch {
	case known && now.Sub(before.at) < 24*time.Hour && before.params != params:
		fail(w, http.StatusBadRequest, "idempotency_error", "")
		return
	case known && now.Sub(before.at) < 24*time.Hour:
		w.Header().Set("Idempotent-Replayed", "true")
		answer(w, before.body)
		return
	}
	out, status, code := do()
	if code != "" {
		fail(w, status, "invalid_request_error", code)
		return
	}
	body, _ := json.Marshal(out)
	if key != "" {
		s.replies[key] = reply{params, now, body}
	}
	answer(w, body)
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// newID is long and opaque, as Stripe's are.
func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// known are the parameters of a session that the double understands; any other is refused.
var known = regexp.MustCompile(`^(mode|locale|success_url|cancel_url|client_reference_id|expires_at|adaptive_pricing\[enabled\]` +
	`|(payment_intent_data\[metadata\]|metadata)\[[a-z_]{1,40}\]` +
	`|line_items\[0\]\[(quantity|price_data\]\[(currency|unit_amount|product_data\]\[name))\])$`)

// flaw says what is wrong with the parameters of a session; empty when nothing.
func (s *Server) flaw(form url.Values) (asked payments.Money, deadline time.Time, code string) {
	now := s.Control.Clock.Now()
	deadline = now.Add(24 * time.Hour)
	for name, values := range form {
		if !known.MatchString(name) || len(values) != 1 {
			return asked, deadline, "parameter_unknown"
		}
	}
	back, err := url.Parse(form.Get("success_url"))
	code = ""
	switch {
	case form.Get("mode") != "payment" || form.Get("line_items[0][quantity]") != "1" || form.Get("line_items[0][price_data][product_data][name]") == "":
		code = "parameter_missing"
	case err != nil || back.Host == "" || (back.Scheme != "https" && back.Scheme != "http"):
		code = "url_invalid"
	case len(form.Get("client_reference_id")) > 200:
		code = "parameter_invalid_string"
	}
	if text := form.Get("expires_at"); text != "" && code == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		deadline = time.Unix(seconds, 0)
		if left := deadline.Sub(now); err != nil || left < 30*time.Minute-time.Second || left > 24*time.Hour {
			code = "parameter_invalid_integer"
		}
	}
	if code == "" {
		asked, code = amount(form.Get("line_items[0][price_data][unit_amount]"), form.Get("line_items[0][price_data][currency]"))
	}
	return asked, deadline, code
}

// decimals of an amount at Stripe, where they are not those of ISO 4217.
var decimals = map[string]int{"isk": 2, "ugx": 2, "mga": 0}

func exponent(currency string) (int, bool) {
	n, ok := state.Exponent(strings.ToUpper(currency))
	if special, is := decimals[currency]; is {
		n = special
	}
	return n, ok && currency == strings.ToLower(currency)
}

// amount reads an amount in the smallest unit, at most eight digits.
func amount(text, currency string) (payments.Money, string) {
	n, err := strconv.ParseInt(text, 10, 64)
	exp, ok := exponent(currency)
	switch {
	case !ok:
		return payments.Money{}, "currency_not_supported"
	case err != nil || n < 1:
		return payments.Money{}, "parameter_invalid_integer"
	case n > 99_999_999:
		return payments.Money{}, "amount_too_large"
	case exp == 3 && n%10 != 0:
		return payments.Money{}, "invalid_charge_amount_no_decimal_compatible"
	}
	text = strings.Repeat("0", max(0, exp+1-len(text))) + text
	if exp > 0 {
		text = text[:len(text)-exp] + "." + text[len(text)-exp:]
	}
	m, err := state.Parse(text, strings.ToUpper(currency))
	if err != nil {
		return m, "invalid_charge_amount_no_decimal_compatible"
	}
	return m, ""
}

// units writes an amount in the smallest unit.
func units(m payments.Money) int64 {
	exp, _ := exponent(strings.ToLower(m.Currency))
	inside, _ := state.Exponent(m.Currency)
	n := m.Minor
	for ; inside < exp; inside++ {
		n *= 10
	}
	return n
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	s.once(w, r, func() (any, int, string) {
		asked, deadline, code := s.flaw(r.PostForm)
		if code != "" {
			return nil, http.StatusBadRequest, code
		}
		p := s.books.Add(acquirertest.Payment{Ref: newID("cs_test_"), Order: r.PostForm.Get("metadata[order]"), Asked: asked,
			Description: r.PostForm.Get("line_items[0][price_data][product_data][name]"), ReturnURL: r.PostForm.Get("success_url"), Deadline: deadline})
		s.more[p.Ref] = &details{intent: newID("pi_"), charge: newID("ch_"), attempt: r.PostForm.Get("client_reference_id")}
		return s.session(p, s.origin(r), nil), 0, ""
	})
}

func (s *Server) origin(r *http.Request) string {
	if s.cfg.PublicSuffix != "" {
		return "http://" + PageHost + s.cfg.PublicSuffix
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// find reads a payment by its session, or by its PaymentIntent. The caller holds the lock.
func (s *Server) find(ref string) (acquirertest.Payment, bool) {
	for session, d := range s.more {
		if ref != "" && (session == ref || d.intent == ref) {
			p, err := s.books.Get(session)
			return p, err == nil
		}
	}
	return acquirertest.Payment{}, false
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.find(r.PathValue("id"))
	if !ok || p.Ref != r.PathValue("id") {
		fail(w, http.StatusNotFound, "invalid_request_error", "resource_missing")
		return
	}
	body, _ := json.Marshal(s.session(p, s.origin(r), r.Form["expand[]"]))
	answer(w, body)
}

// sessions lists them, newest first.
func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	for _, p := range slices.Backward(s.books.All()) {
		if about := r.Form.Get("payment_intent"); about == "" || about == s.more[p.Ref].intent {
			expand := slices.Clone(r.Form["expand[]"])
			for i := range expand {
				expand[i] = strings.TrimPrefix(expand[i], "data.")
			}
			all = append(all, s.session(p, s.origin(r), expand))
		}
	}
	list(w, r, all)
}

// list answers one page.
func list(w http.ResponseWriter, r *http.Request, all []map[string]any) {
	limit, err := strconv.Atoi(r.Form.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 10
	}
	if after := r.Form.Get("starting_after"); after != "" {
		i := slices.IndexFunc(all, func(o map[string]any) bool { return o["id"] == after })
		all = all[i+1:]
	}
	shown := all[:min(limit, len(all))]
	if len(shown) == 0 {
		shown = []map[string]any{}
	}
	body, _ := json.Marshal(map[string]any{"object": "list", "url": r.URL.Path, "has_more": len(all) > limit, "data": shown})
	answer(w, body)
}

func (s *Server) expire(w http.ResponseWriter, r *http.Request) {
	s.once(w, r, func() (any, int, string) {
		p, ok := s.find(r.PathValue("id"))
		if !ok {
			return nil, http.StatusNotFound, "resource_missing"
		}
		if s.sessionStatus(p) != "open" {
			return nil, http.StatusBadRequest, "checkout_session_not_open"
		}
		p, _ = s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
			p.Status = acquirertest.Expired
			return nil
		})
		s.tell("checkout.session.expired", s.session(p, "", nil), 1, 0)
		return s.session(p, "", nil), 0, ""
	})
}

func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	s.once(w, r, func() (any, int, string) {
		p, ok := s.find(r.PostForm.Get("payment_intent"))
		if !ok || !p.Taken() {
			return nil, http.StatusBadRequest, "resource_missing"
		}
		back := payments.Money{Minor: p.Captured.Minor - p.Refunded, Currency: p.Captured.Currency}
		if text := r.PostForm.Get("amount"); text != "" {
			var code string
			if back, code = amount(text, strings.ToLower(p.Captured.Currency)); code != "" {
				return nil, http.StatusBadRequest, code
			}
		}
		p, err := s.books.Refund(p.Ref, back.Minor)
		if err != nil {
			return nil, http.StatusBadRequest, "charge_already_refunded"
		}
		status := "succeeded"
		if s.cfg.PendingRefunds {
			status = "pending"
		}
		d := s.more[p.Ref]
		marks := object{}
		for name, values := range r.PostForm {
			if mark, ok := strings.CutPrefix(name, "metadata["); ok {
				marks[strings.TrimSuffix(mark, "]")] = values[0]
			}
		}
		d.refunds = append(d.refunds, refund{newID("re_"), status, back.Minor, marks})
		s.speak(p, 1, 0)
		return s.refundObject(p, d.refunds[len(d.refunds)-1]), 0, ""
	})
}

func (s *Server) refunds(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	if p, ok := s.find(r.Form.Get("payment_intent")); ok {
		for _, back := range slices.Backward(s.ledger(p)) {
			all = append(all, s.refundObject(p, back))
		}
	}
	list(w, r, all)
}

func (s *Server) disputes(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	if p, ok := s.find(r.Form.Get("payment_intent")); ok {
		for _, d := range slices.Backward(p.Disputes) {
			all = append(all, s.disputeObject(p, d))
		}
	}
	list(w, r, all)
}
