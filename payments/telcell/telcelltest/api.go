package telcelltest

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Sum is the gateway's checksum.
func Sum(key string, values ...string) string {
	sum := md5.Sum([]byte(key + strings.Join(values, "")))
	return hex.EncodeToString(sum[:])
}

// call is one operation: the fields it must have, those it may have, and those that its checksum covers, in order.
type call struct {
	must, may, hashed []string
	do                func(s *Server, w http.ResponseWriter, r *http.Request)
}

var calls = map[string]call{
	"bill": {[]string{"buyer", "currency", "sum", "description", "issuer_id", "valid_days"}, []string{"info"},
		[]string{"bill:issuer", "buyer", "currency", "sum", "description", "valid_days", "issuer_id"}, (*Server).create},
	"check_bill":  {nil, []string{"invoice", "issuer_id"}, []string{"check_bill:issuer", "invoice", "issuer_id"}, (*Server).show},
	"cancel_bill": {nil, []string{"invoice", "issuer_id"}, []string{"cancel_bill:issuer", "invoice", "issuer_id"}, (*Server).cancel},
	"clear_bill":  {[]string{"issuer_id"}, nil, []string{"clear_bill:issuer", "issuer_id"}, (*Server).clear},
	"refund_bill": {[]string{"invoice", "issuer_id", "refund_sum"}, nil,
		[]string{"refund_bill:issuer", "invoice", "issuer_id", "refund_sum"}, (*Server).refund},
}

// serve checks what every operation needs, strictly: known fields once each, the shop and the checksum.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.Control.Limits.Count(true)
	if r.ParseForm() != nil || r.URL.RawQuery != "" {
		say(w, http.StatusBadRequest, "BAD_REQUEST")
		return
	}
	name := ""
	for field := range r.PostForm {
		if what, ok := strings.CutSuffix(field, ":issuer"); ok {
			name = what
		}
	}
	if r.PostForm.Get("action") == "PostInvoice" {
		s.form(w, r)
		return
	}
	c, ok := calls[name]
	if !ok || (name == "refund_bill" && !s.cfg.PartialRefunds) {
		say(w, http.StatusBadRequest, "UNKNOWN_OPERATION")
		return
	}
	if !exact(r.PostForm, slices.Concat(c.must, []string{name + ":issuer", "checksum"}), c.may) {
		say(w, http.StatusBadRequest, "BAD_FIELDS")
		return
	}
	var values []string
	for _, field := range c.hashed {
		values = append(values, r.PostForm.Get(field))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shop(name, r.PostForm.Get(name+":issuer"), r.PostForm.Get("checksum"), values) {
		say(w, http.StatusForbidden, "WRONG_CHECKSUM")
		return
	}
	c.do(s, w, r)
}

// shop says whether this is our shop with its key, which dies on request until the reset.
func (s *Server) shop(operation, issuer, sum string, values []string) bool {
	if _, dies := s.Control.Take(standintest.Revoke, operation); dies {
		s.dead = true
	}
	return !s.dead && issuer == s.cfg.Issuer && sum == Sum(s.cfg.ShopKey, values...)
}

// exact says whether all of must is there, and nothing but must and may, each once.
func exact(form url.Values, must, may []string) bool {
	for name, values := range form {
		if len(values) != 1 || (!slices.Contains(must, name) && !slices.Contains(may, name)) {
			return false
		}
	}
	return !slices.ContainsFunc(must, func(name string) bool { return form.Get(name) == "" })
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func decoded(text string) string {
	raw, _ := base64.StdEncoding.DecodeString(text)
	return string(raw)
}

// enter adds an invoice. The same order may be entered twice: nothing public says otherwise.
func (s *Server) enter(r *http.Request, sum, days, product, buyer string) (string, bool) {
	asked, err := state.Parse(sum, "AMD")
	n, daysErr := strconv.Atoi(days)
	order := decoded(r.PostForm.Get("issuer_id"))
	if err != nil || !asked.Valid() || daysErr != nil || n < 1 || order == "" || decoded(product) == "" {
		return "", false
	}
	s.last++
	p := s.books.Add(acquirertest.Payment{Ref: strconv.FormatInt(s.last, 10), Order: order, Asked: asked, Description: decoded(product),
		ReturnURL: s.cfg.RedirectURL, Deadline: s.Control.Clock.Now().Add(time.Duration(n) * 24 * time.Hour)})
	s.bills[p.Ref] = &bill{buyer: buyer, description: product, issued: s.time(s.Control.Clock.Now())}
	return p.Ref, true
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	f := r.PostForm
	ref, ok := "", f.Get("currency") == "51" || f.Get("currency") == "051"
	if ok {
		ref, ok = s.enter(r, f.Get("sum"), f.Get("valid_days"), f.Get("description"), f.Get("buyer"))
	}
	if !ok {
		say(w, http.StatusBadRequest, "BAD_VALUE")
		return
	}
	say(w, http.StatusOK, ref)
}

// form creates an invoice from the customer's browser and leads it to the page.
func (s *Server) form(w http.ResponseWriter, r *http.Request) {
	f := r.PostForm
	hashed := []string{"issuer", "currency", "price", "product", "issuer_id", "valid_days"}
	must := append([]string{"action", "lang", "security_code"}, hashed...)
	var values []string
	for _, field := range hashed {
		values = append(values, f.Get(field))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !exact(f, must, nil) || !slices.Contains([]string{"am", "ru", "en"}, f.Get("lang")) || f.Get("currency") != "֏" || strings.Contains(f.Get("price"), "."):
		say(w, http.StatusBadRequest, "BAD_FIELDS")
		return
	case !s.shop("PostInvoice", f.Get("issuer"), f.Get("security_code"), values):
		say(w, http.StatusForbidden, "WRONG_CHECKSUM")
		return
	}
	ref, ok := s.enter(r, f.Get("price"), f.Get("valid_days"), f.Get("product"), "buyer@example.am")
	if !ok {
		say(w, http.StatusBadRequest, "BAD_VALUE")
		return
	}
	host := "http://" + r.Host
	if s.cfg.PublicSuffix != "" {
		host = "http://" + Host + s.cfg.PublicSuffix
	}
	http.Redirect(w, r, host+"/payments/invoice/?invoice="+ref, http.StatusSeeOther)
}

// find reads an invoice by its number, which wins, or by the order.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (acquirertest.Payment, bool) {
	ref := r.PostForm.Get("invoice")
	if ref == "" {
		ref = decoded(r.PostForm.Get("issuer_id"))
	}
	p, err := s.books.Get(ref)
	if err != nil {
		say(w, http.StatusNotFound, "NOT_FOUND")
	}
	return p, err == nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) {
	if p, ok := s.find(w, r); ok {
		say(w, http.StatusOK, s.lines(p))
	}
}

// cancel gives all of a paid invoice back.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(p acquirertest.Payment) (acquirertest.Payment, error) {
		if p.Status != acquirertest.Captured {
			return p, acquirertest.ErrNotNow
		}
		return s.books.Refund(p.Ref, 0)
	})
}

func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(p acquirertest.Payment) (acquirertest.Payment, error) {
		back, err := state.Parse(r.PostForm.Get("refund_sum"), p.Captured.Currency)
		if err != nil || back.Minor == 0 {
			return p, acquirertest.ErrTooMuch
		}
		return s.books.Refund(p.Ref, back.Minor)
	})
}

// clear closes an unpaid invoice.
func (s *Server) clear(w http.ResponseWriter, r *http.Request) {
	s.change(w, r, func(p acquirertest.Payment) (acquirertest.Payment, error) {
		return s.books.Change(p.Ref, func(p *acquirertest.Payment) error {
			if !p.Open() || s.bills[p.Ref].part {
				return acquirertest.ErrNotNow
			}
			p.Status = acquirertest.Cancelled
			return nil
		})
	})
}

func (s *Server) change(w http.ResponseWriter, r *http.Request, do func(acquirertest.Payment) (acquirertest.Payment, error)) {
	p, ok := s.find(w, r)
	if !ok {
		return
	}
	p, err := do(p)
	if err != nil {
		say(w, http.StatusConflict, "NOT_POSSIBLE")
		return
	}
	say(w, http.StatusOK, s.lines(p))
}

var codes = map[string]string{"AMD": "51", "USD": "840", "EUR": "978"}

func (s *Server) status(p acquirertest.Payment) string {
	if s.bills[p.Ref].part && p.Open() {
		return "PARTIALLY_PAID"
	}
	return map[acquirertest.Status]string{acquirertest.Captured: "PAID", acquirertest.Partly: "PAID", acquirertest.Refunded: "CANCELED",
		acquirertest.Cancelled: "CANCELED", acquirertest.Failed: "REJECTED", acquirertest.Expired: "EXPIRED"}[p.Status]
}

// time is written without a zone; it is Yerevan's.
func (s *Server) time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(time.FixedZone("AMT", 4*60*60)).Format("2006-01-02 15:04:05")
}

// lines are what check_bill answers. The buyer is in them, for the client to leave out.
func (s *Server) lines(p acquirertest.Payment) string {
	sum, b, order := p.Asked, s.bills[p.Ref], p.Order
	if p.Captured.Minor > 0 {
		sum = p.Captured
	}
	if p.Merchant != "" {
		order = "order-of-" + p.Merchant
	}
	status := s.status(p)
	if status == "" {
		status = "NEW"
	}
	text := fmt.Sprintf("invoice=%s\nstatus=%s\nsum=%s\ncurrency=%s\nbuyer=%s\ndescription=%s\nissuer_id=%s\nissue_time=%s\nvalid_time=%s\nreceived_time=%s\npaid_time=%s\n",
		p.Ref, status, sum.Decimal(), codes[sum.Currency], b.buyer, b.description, base64.StdEncoding.EncodeToString([]byte(order)),
		b.issued, s.time(p.Deadline), b.issued, s.time(p.PaidAt))
	if s.cfg.PartialRefunds {
		text += "refunded_sum=" + payments.Money{Minor: p.Refunded, Currency: sum.Currency}.Decimal() + "\n"
	}
	first := Sum(s.cfg.ShopKey, text)
	return text + "checksum=" + first + "\nchecksum2=" + Sum("system-key", first) + "\n"
}

// partly lets the customer pay a part.
func (s *Server) partly(w http.ResponseWriter, r *http.Request) {
	var in struct{ Ref string }
	if !standintest.Decode(w, r, &in) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.books.Get(in.Ref)
	if err != nil || !p.Open() {
		standintest.Answer(w, http.StatusConflict, map[string]string{"error": "no such open payment"})
		return
	}
	s.bills[p.Ref].part = true
	standintest.Answer(w, http.StatusOK, p.Entry())
}

// orphan is a paid invoice that the shop never asked for.
func (s *Server) orphan(amount payments.Money, hook string) acquirertest.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hook != "" {
		s.result = hook
	}
	s.last++
	ref := strconv.FormatInt(s.last, 10)
	s.bills[ref] = &bill{buyer: "buyer@example.am", issued: s.time(s.Control.Clock.Now())}
	return s.books.Add(acquirertest.Payment{Ref: ref, Order: "orphan-" + ref, Asked: amount, Captured: amount,
		Status: acquirertest.Captured, PaidAt: s.Control.Clock.Now()})
}

// announce sends the callback of what became of the payment. Only payment and rejection are told.
func (s *Server) announce(p acquirertest.Payment, n int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status(p)
	if p.Refunded > 0 || (status != "PAID" && status != "REJECTED") {
		return
	}
	order, sum, key := base64.StdEncoding.EncodeToString([]byte(p.Order)), p.Asked, s.cfg.ShopKey
	if s.cfg.PlainIssuerID {
		order = p.Order
	}
	if p.Taken() {
		sum = p.Captured
	}
	fields := [][2]string{{"invoice", p.Ref}, {"issuer_id", order}, {"payment_id", "99" + p.Ref}}
	if s.cfg.CallbackBuyer {
		fields = append(fields, [2]string{"buyer", s.bills[p.Ref].buyer})
	}
	fields = append(fields, [2]string{"currency", codes[sum.Currency]}, [2]string{"sum", strings.TrimSuffix(sum.Decimal(), ".00")},
		[2]string{"time", s.time(s.Control.Clock.Now())}, [2]string{"status", status})
	hook := s.result
	s.courier.Send(acquirertest.Notice{Name: "notice " + status, Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		if forged {
			return s.callback(ctx, hook, "not-the-key", fields)
		}
		return s.callback(ctx, hook, key, fields)
	}}, n, delay)
}

func (s *Server) callback(ctx context.Context, hook, key string, fields [][2]string) (*http.Request, error) {
	if hook == "" {
		return nil, errors.New("no RESULT_URL is registered")
	}
	form, values := url.Values{}, []string{}
	for _, field := range fields {
		form.Set(field[0], field[1])
		values = append(values, field[1])
	}
	form.Set("checksum", Sum(key, values...))
	if s.cfg.GetCallbacks {
		return http.NewRequestWithContext(ctx, http.MethodGet, hook+"?"+form.Encode(), nil)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}
