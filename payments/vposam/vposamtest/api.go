package vposamtest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

var providers = map[string]bool{"manual": true, "ameriabank": true, "idram": true, "telcell": true}

func (s *Server) capabilities(w http.ResponseWriter, _ *http.Request) {
	can := map[string]bool{"payLink": true, "qr": false, "refund": true, "fiscalization": false, "tokenization": false}
	matrix := []any{}
	for _, id := range []string{"manual", "ameriabank", "idram", "telcell"} {
		matrix = append(matrix, map[string]any{"id": id, "capabilities": can})
	}
	standintest.Answer(w, http.StatusOK, map[string]any{"providers": matrix})
}

// creation is the documented body; any other field is refused.
type creation struct {
	MerchantOrderID string `json:"merchantOrderId"`
	AmountMinor     int64  `json:"amountMinor"`
	Currency        string `json:"currency"`
	Provider        string `json:"provider"`
	ReturnURL       string `json:"returnUrl"`
	Customer        struct {
		Email string `json:"email"`
		Phone string `json:"phone"`
		Name  string `json:"name"`
	} `json:"customer"`
	Metadata map[string]string `json:"metadata"`
}

// flaw says what is wrong with the body; empty when nothing.
func (in creation) flaw() string {
	back, err := url.Parse(in.ReturnURL)
	switch {
	case in.MerchantOrderID == "" || len(in.MerchantOrderID) > 64:
		return "invalid_merchant_order_id"
	case in.AmountMinor <= 0 || in.AmountMinor > state.MaxMinor:
		return "invalid_amount"
	case !payments.Money{Minor: 1, Currency: in.Currency}.Valid():
		return "invalid_currency"
	case in.Provider != "" && !providers[in.Provider]:
		return "invalid_provider"
	case err != nil || back.Host == "" || (back.Scheme != "https" && back.Scheme != "http"):
		return "invalid_return_url"
	}
	return ""
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var in creation
	body, ok := s.read(w, r, &in)
	if !ok {
		return
	}
	if flaw := in.flaw(); flaw != "" {
		refuse(w, http.StatusUnprocessableEntity, flaw)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ref, known := s.repeated(w, r, body); known {
		if ref != "" {
			p, _ := s.books.Get(ref)
			standintest.Answer(w, http.StatusOK, s.session(r, p))
		}
		return
	}
	if _, err := s.books.Get(in.MerchantOrderID); err == nil {
		refuse(w, http.StatusConflict, "duplicate_merchant_order_id")
		return
	}
	p := s.books.Add(acquirertest.Payment{
		Ref: newID("ps_"), Order: in.MerchantOrderID, Asked: payments.Money{Minor: in.AmountMinor, Currency: in.Currency},
		ReturnURL: in.ReturnURL, NotifyURL: in.Metadata["webhookUrl"], Description: in.Metadata["description"],
		Language: in.Metadata["language"], Deadline: s.Control.Clock.Now().Add(s.cfg.SessionTTL),
	})
	s.hook = p.NotifyURL
	s.keep(r, body, p.Ref)
	standintest.Answer(w, http.StatusCreated, s.session(r, p))
}

// read decodes a strict JSON body; money is moved only under an Idempotency-Key.
func (s *Server) read(w http.ResponseWriter, r *http.Request, into any) ([]byte, bool) {
	if r.Header.Get("Idempotency-Key") == "" {
		refuse(w, http.StatusBadRequest, "idempotency_key_required")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err == nil {
		strict := json.NewDecoder(bytes.NewReader(body))
		strict.DisallowUnknownFields()
		err = strict.Decode(into)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid_body")
	}
	return body, err == nil
}

// repeated answers a key that was used before: with another body it is refused, and the ref is empty.
func (s *Server) repeated(w http.ResponseWriter, r *http.Request, body []byte) (ref string, known bool) {
	before, known := s.keys[r.URL.Path+" "+r.Header.Get("Idempotency-Key")]
	if known && before.body != sha256.Sum256(body) {
		refuse(w, http.StatusUnprocessableEntity, "idempotency_key_reused")
		return "", true
	}
	return before.ref, known
}

func (s *Server) keep(r *http.Request, body []byte, ref string) {
	s.keys[r.URL.Path+" "+r.Header.Get("Idempotency-Key")] = reply{sha256.Sum256(body), ref}
}

func newID(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	p, err := s.books.Get(r.PathValue("id"))
	if err != nil || p.Ref != r.PathValue("id") {
		refuse(w, http.StatusNotFound, "session_not_found")
		return
	}
	standintest.Answer(w, http.StatusOK, s.session(r, p))
}

func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AmountMinor int64  `json:"amountMinor"`
		Currency    string `json:"currency"`
	}
	body, ok := s.read(w, r, &in)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, known := s.repeated(w, r, body)
	if known && ref == "" {
		return
	}
	if !known {
		p, err := s.books.Get(r.PathValue("id"))
		switch {
		case err != nil || p.Ref != r.PathValue("id"):
			refuse(w, http.StatusNotFound, "session_not_found")
			return
		case in.AmountMinor <= 0 || in.Currency != p.Captured.Currency:
			refuse(w, http.StatusUnprocessableEntity, "invalid_amount")
			return
		}
		if p, err = s.books.Refund(p.Ref, in.AmountMinor); err != nil {
			refuse(w, http.StatusUnprocessableEntity, "refund_not_possible")
			return
		}
		ref = newID("rf_")
		s.keep(r, body, ref)
		s.announce(p, 1, 0)
	}
	standintest.Answer(w, http.StatusCreated, map[string]any{"id": ref, "status": "succeeded",
		"amountMinor": in.AmountMinor, "currency": in.Currency})
}

// session is the answer about a payment. The payer is in it, as acquirers do, for the client to leave out.
func (s *Server) session(r *http.Request, p acquirertest.Payment) map[string]any {
	e := p.Entry()
	out := map[string]any{"id": p.Ref, "merchantOrderId": p.Order, "merchantId": s.cfg.MerchantID, "status": e.Status,
		"amountMinor": e.Amount, "currency": e.Currency, "capturedAmountMinor": e.Captured, "refundedAmountMinor": e.Refunded,
		"expiresAt": p.Deadline.UTC().Format(time.RFC3339)}
	if r != nil {
		out["checkoutUrl"] = s.origin(r) + "/pay/" + p.Ref
	}
	if p.Merchant != "" {
		out["merchantId"], out["merchantOrderId"] = p.Merchant, "order-of-"+p.Merchant
	}
	if p.Status == acquirertest.Failed {
		out["failureCode"] = "card_declined"
	}
	if !p.PaidAt.IsZero() {
		out["paidAt"] = p.PaidAt.UTC().Format(time.RFC3339)
		out["customer"] = map[string]string{"email": "payer@example.com", "phone": "+37400000000", "name": "Test Buyer"}
		out["card"] = map[string]string{"maskedPan": "400000******0002", "expiry": "12/30"}
	}
	disputes := []any{}
	for _, d := range p.Disputes {
		disputes = append(disputes, map[string]any{"id": d.Ref, "amountMinor": d.Minor, "status": d.Status})
	}
	out["disputes"] = disputes
	return out
}

func (s *Server) origin(r *http.Request) string {
	switch {
	case s.cfg.PublicSuffix != "":
		return "http://" + Host + s.cfg.PublicSuffix
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// orphan is a captured payment that no session of ours asked for.
func (s *Server) orphan(amount payments.Money, hook string) acquirertest.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hook == "" {
		hook = s.hook
	}
	return s.books.Add(acquirertest.Payment{Ref: newID("ps_"), Order: newID("orphan-"), Asked: amount, Captured: amount,
		Status: acquirertest.Captured, PaidAt: s.Control.Clock.Now(), NotifyURL: hook})
}

// announce sends the event of what the payment has become.
func (s *Server) announce(p acquirertest.Payment, n int, delay time.Duration) {
	kind := "payment_session." + string(p.Status)
	if len(p.Disputes) > 0 {
		kind = "payment_session.dispute_" + p.Disputes[len(p.Disputes)-1].Status
	}
	hook := s.cfg.WebhookURL
	if hook == "" {
		hook = p.NotifyURL
	}
	body, _ := json.Marshal(map[string]any{"id": newID("evt_"), "type": kind, "createdAt": s.cfg.Dates().UTC().Format(time.RFC3339),
		"data": s.session(nil, p)})
	s.courier.Send(acquirertest.Notice{Name: "notice " + kind, Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		if hook == "" {
			return nil, errors.New("no webhook is registered")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		secret := s.cfg.WebhookSecret
		if forged {
			secret = "not the secret"
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Vpos-Signature", Sign(secret, body, s.cfg.Dates()))
		return r, nil
	}}, n, delay)
}

// Sign is the signature header of a notice sent at this time.
func Sign(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
