// Package fastshifttest doubles Pay by FastShift: a server with state that refuses what the document says, and whose
// webhooks anybody could have sent.
package fastshifttest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Host is the documented host of the API; the hosted page of the double is there too.
const Host = "merchants.fastshift.am"

// Config of the double. Zero values mean what the comments say.
type Config struct {
	Token        string        // "fastshift-test-token"
	PublicSuffix string        // after the host in checkout URLs, such as ".localhost:8090"; empty: the host that was asked
	SessionTTL   time.Duration // 20 minutes, on the double's clock
	Repeatable   bool          // registering the same order again gives its page; else it is an ERROR
	FormWebhooks bool          // webhooks are forms; else JSON
	HTTP         *http.Client  // delivers webhooks
}

// Server is the double. It serves the API, the hosted page under /pay/ and the control API under /_control/, with one
// route more than the other acquirers': hint {"ref", "status"} sends a webhook that says so, true or not.
type Server struct {
	http.Handler // all of it
	Control      *standintest.Control

	books   *acquirertest.Books
	courier *acquirertest.Courier
	page    acquirertest.Page
	cfg     Config

	mu      sync.Mutex
	orders  map[string]registration // by order_number
	made    map[string]time.Time
	hook    string // of the newest order, for orphans
	revoked bool
}

// New starts a double.
func New(cfg Config) *Server {
	cfg.Token = cmp.Or(cfg.Token, "fastshift-test-token")
	cfg.SessionTTL = cmp.Or(cfg.SessionTTL, 20*time.Minute)
	s := &Server{Control: standintest.New(), cfg: cfg}
	s.books = acquirertest.NewBooks(s.Control.Clock.Now)
	s.courier = acquirertest.NewCourier(cfg.HTTP, s.Control)
	desk := acquirertest.Desk{Books: s.books, RefOf: acquirertest.LastSegment, Announce: s.announce, NewOrphan: s.orphan}
	s.page = acquirertest.Page{Name: "FastShift", Desk: desk, Back: back}
	s.Control.Reset = s.reset
	s.Control.State = func() any { return map[string]any{"payments": s.Books(), "notices": s.courier.Deliveries()} }
	s.reset()
	whole := s.Control.Handler()
	desk.Routes(whole)
	whole.HandleFunc("POST /_control/hint", s.hint)
	whole.Handle("/", s.Control.Wrap(s.routes()))
	s.Handler = whole
	return s
}

// Hosts are the names this double answers for.
func (s *Server) Hosts() []string { return []string{Host} }

// Close ends the delivery of webhooks.
func (s *Server) Close() { s.courier.Close() }

// Books are the payments, as GET /_control/books shows them.
func (s *Server) Books() []acquirertest.Entry { return s.books.Entries() }

func (s *Server) reset() {
	s.mu.Lock()
	s.orders, s.made, s.hook, s.revoked = map[string]registration{}, map[string]time.Time{}, "", false
	s.mu.Unlock()
	s.books.Reset()
	s.courier.Reset()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/en/vpos/order/register", s.known(s.register))
	mux.HandleFunc("GET /api/en/vpos/order/status/{number}", s.known(s.status))
	mux.HandleFunc("GET /pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Show(w, r, r.PathValue("id")) })
	mux.HandleFunc("POST /pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.page.Press(w, r, r.PathValue("id")) })
	return mux
}

// known lets in who has the token.
func (s *Server) known(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Control.Limits.Count(true)
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, dies := s.Control.Take(standintest.Revoke, r.Method+" "+r.URL.Path); dies {
			s.revoked = true
		}
		if s.revoked || r.Header.Get("Authorization") != "Bearer "+s.cfg.Token {
			say(w, http.StatusUnauthorized, "UNAUTHORIZED", nil)
			return
		}
		do(w, r)
	}
}

func say(w http.ResponseWriter, status int, word string, more map[string]any) {
	out := map[string]any{"status": word}
	for name, value := range more {
		out[name] = value
	}
	standintest.Answer(w, status, out)
}

// registration is the documented body; any other field is refused.
type registration struct {
	Amount      int64  `json:"amount"`
	OrderNumber string `json:"order_number"`
	External    string `json:"external_order_id"`
	CallbackURL string `json:"callback_url"`
	WebhookURL  string `json:"webhook_url"`
	Description string `json:"description"`
	Username    string `json:"username"`
	SSN         string `json:"user_ssn"`
	CheckEvoca  bool   `json:"check_evoca_account"`
	Account     string `json:"account_guid"`
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func absolute(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// flaws are the fields that are wrong.
func (in registration) flaws() map[string]any {
	wrong := map[string]any{}
	for name, bad := range map[string]bool{"order_number": !guid.MatchString(in.OrderNumber), "amount": in.Amount < 1 || in.Amount > 10_000_000_000,
		"description": in.Description == "", "callback_url": !absolute(in.CallbackURL), "webhook_url": in.WebhookURL != "" && !absolute(in.WebhookURL)} {
		if bad {
			wrong[name] = "is not valid"
		}
	}
	return wrong
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var in registration
	strict := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&in); err != nil || r.Header.Get("Content-Type") != "application/json" {
		say(w, http.StatusUnprocessableEntity, "INVALID_DATA", map[string]any{"errors": map[string]any{"body": "cannot be read"}})
		return
	}
	if wrong := in.flaws(); len(wrong) > 0 {
		say(w, http.StatusUnprocessableEntity, "INVALID_DATA", map[string]any{"errors": wrong})
		return
	}
	before, twice := s.orders[in.OrderNumber]
	if twice && (!s.cfg.Repeatable || before != in) {
		say(w, http.StatusBadRequest, "ERROR", map[string]any{"message": "The order exists."})
		return
	}
	if !twice {
		now := s.Control.Clock.Now()
		s.orders[in.OrderNumber], s.made[in.OrderNumber], s.hook = in, now, in.WebhookURL
		s.books.Add(acquirertest.Payment{Ref: in.OrderNumber, Order: in.External, Asked: payments.Money{Minor: in.Amount * 100, Currency: "AMD"},
			Description: in.Description, ReturnURL: in.CallbackURL, NotifyURL: in.WebhookURL, Deadline: now.Add(s.cfg.SessionTTL)})
	}
	p, _ := s.books.Get(in.OrderNumber)
	page := "http://" + r.Host
	if s.cfg.PublicSuffix != "" {
		page = "http://" + Host + s.cfg.PublicSuffix
	}
	say(w, http.StatusOK, "OK", map[string]any{"data": map[string]any{"order": s.order(p), "redirect_url": page + "/pay/" + p.Ref}})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	p, err := s.books.Get(r.PathValue("number"))
	if err != nil || !strings.EqualFold(p.Ref, r.PathValue("number")) {
		say(w, http.StatusNotFound, "NOT_FOUND", nil)
		return
	}
	say(w, http.StatusOK, "OK", map[string]any{"data": map[string]any{"order": s.order(p), "fastshift_id": "00000000"}})
}

func word(p acquirertest.Payment) string {
	switch p.Status {
	case acquirertest.Captured, acquirertest.Partly, acquirertest.Refunded: // a refund by hand shows nowhere
		return "completed"
	case acquirertest.Failed:
		return "rejected"
	case acquirertest.Expired:
		return "expired"
	}
	return "pending"
}

// order is what the API tells of one. The payer's account is in it, for the client to leave out.
func (s *Server) order(p acquirertest.Payment) map[string]any {
	amount, external := p.Asked, p.Order
	if p.Taken() {
		amount = p.Captured
	}
	if p.Merchant != "" {
		external = "order-of-" + p.Merchant
	}
	out := map[string]any{"order_number": p.Ref, "order_guid": "00000000-0000-0000-0000-000000000001", "amount": amount.Minor / 100,
		"description": p.Description, "status": word(p), "created_at": local(s.made[p.Ref]), "completed_at": nil, "expires_at": local(p.Deadline),
		"account_guid": nil, "external_order_id": external}
	if !p.PaidAt.IsZero() {
		out["completed_at"], out["account_guid"] = local(p.PaidAt), "0a0b0c0d-0000-4000-8000-00000000beef"
	}
	return out
}

// local is a time as FastShift writes it, without a zone.
func local(t time.Time) string {
	return t.In(time.FixedZone("AMT", 4*60*60)).Format("2006-01-02 15:04:05")
}

// back is the return address with what FastShift adds.
func back(p acquirertest.Payment) string {
	more, joint := url.Values{"status": {word(p)}, "order_number": {p.Ref}}, "?"
	if strings.Contains(p.ReturnURL, "?") {
		joint = "&"
	}
	return p.ReturnURL + joint + more.Encode()
}

// newGUID is random; nothing else makes them here.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// orphan is a paid order that was never registered.
func (s *Server) orphan(amount payments.Money, hook string) acquirertest.Payment {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Control.Clock.Now()
	p := acquirertest.Payment{Ref: newGUID(), Asked: amount, Captured: amount, Status: acquirertest.Captured, PaidAt: now, NotifyURL: cmp.Or(hook, s.hook)}
	p.Order = "orphan-" + p.Ref
	s.made[p.Ref] = now
	return s.books.Add(p)
}

// announce sends the webhook of what became of the order. Refunds are not told.
func (s *Server) announce(p acquirertest.Payment, n int, delay time.Duration) {
	if p.Refunded == 0 {
		s.send(p, word(p), n, delay)
	}
}

// hint sends a webhook that says this, true or not.
func (s *Server) hint(w http.ResponseWriter, r *http.Request) {
	var in struct{ Ref, Status string }
	if !standintest.Decode(w, r, &in) {
		return
	}
	p, err := s.books.Get(in.Ref)
	if err != nil {
		standintest.Answer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
		return
	}
	s.send(p, in.Status, 1, 0)
	standintest.Answer(w, http.StatusOK, p.Entry())
}

func (s *Server) send(p acquirertest.Payment, status string, n int, delay time.Duration) {
	s.courier.Send(acquirertest.Notice{Name: "notice " + status, Make: func(ctx context.Context, forged bool) (*http.Request, error) {
		said := status
		if forged {
			said = "completed"
		}
		if p.NotifyURL == "" {
			return nil, errors.New("no webhook is registered")
		}
		media := "application/json"
		body, _ := json.Marshal(map[string]string{"status": said, "order_number": p.Ref})
		if s.cfg.FormWebhooks {
			media, body = "application/x-www-form-urlencoded", []byte(url.Values{"status": {said}, "order_number": {p.Ref}}.Encode())
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.NotifyURL, bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", media)
		}
		return r, err
	}}, n, delay)
}
