package vposamtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dealpay/dealpay/payments/acquirertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a merchant of the double: it sends requests and receives notices.
type shop struct {
	*testing.T
	double *Server
	api    *httptest.Server
	hook   *httptest.Server

	mu     sync.Mutex
	status int // what the hook answers; 0 means 200
	got    []string
	signed []string
}

func open(t *testing.T, cfg Config) *shop {
	s := &shop{T: t, double: New(cfg)}
	s.api = httptest.NewServer(s.double)
	s.hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got, s.signed = append(s.got, string(body)), append(s.signed, r.Header.Get("X-Vpos-Signature"))
		if s.status != 0 {
			w.WriteHeader(s.status)
		}
	}))
	t.Cleanup(func() {
		s.double.Close()
		s.api.Close()
		s.hook.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func (s *shop) notices() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.got...)
}

func (s *shop) wait(n int) []string {
	s.Helper()
	require.Eventually(s, func() bool { return len(s.notices()) >= n }, 5*time.Second, 5*time.Millisecond)
	return s.notices()
}

// send is a request with our token and key, changed by edit.
func (s *shop) send(method, path, key, body string, edit func(*http.Request)) (int, map[string]any) {
	s.Helper()
	r, err := http.NewRequest(method, s.api.URL+path, strings.NewReader(body))
	require.NoError(s, err)
	r.Header.Set("Authorization", "Bearer vpos-test-token")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if edit != nil {
		edit(r)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(s, err)
	defer res.Body.Close()
	var out map[string]any
	text, _ := io.ReadAll(res.Body)
	_ = json.Unmarshal(text, &out)
	return res.StatusCode, out
}

func (s *shop) body(order string) string {
	text, _ := json.Marshal(map[string]any{"merchantOrderId": order, "amountMinor": 1_500_000, "currency": "AMD", "provider": "manual",
		"returnUrl": "https://shop.example/back?x=1", "metadata": map[string]string{"webhookUrl": s.hook.URL, "language": "hy", "description": "<b>Կանխավճար</b>"}})
	return string(text)
}

func (s *shop) session(order string) map[string]any {
	s.Helper()
	status, out := s.send("POST", "/v1/payment-sessions", "key-"+order, s.body(order), nil)
	require.Equal(s, 201, status, out)
	return out
}

func (s *shop) control(name, body string) (int, map[string]any) {
	s.Helper()
	return s.send("POST", "/_control/"+name, "", body, nil)
}

func (s *shop) pay(session map[string]any, rest string) {
	s.Helper()
	status, out := s.control("pay", `{"url":"`+session["checkoutUrl"].(string)+`"`+rest+`}`)
	require.Equal(s, 200, status, out)
}

func TestTheDoubleRefusesWhatTheRealOneWould(t *testing.T) {
	s := open(t, Config{})
	good := s.body("o-1")
	change := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, c := range map[string]struct {
		key, body string
		edit      func(*http.Request)
		status    int
		code      string
	}{
		"no token":          {"k", good, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "invalid_token"},
		"another token":     {"k", good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "invalid_token"},
		"no bearer":         {"k", good, func(r *http.Request) { r.Header.Set("Authorization", "vpos-test-token") }, 401, "invalid_token"},
		"a browser":         {"k", good, func(r *http.Request) { r.Header.Set("Origin", "https://shop.example") }, 403, "origin_not_trusted"},
		"no key":            {"", good, nil, 400, "idempotency_key_required"},
		"no JSON":           {"k", "amount=1", nil, 400, "invalid_body"},
		"a fraction":        {"k", change("1500000", "1500000.5"), nil, 400, "invalid_body"},
		"a text amount":     {"k", change("1500000", `"1500000"`), nil, 400, "invalid_body"},
		"nothing to pay":    {"k", change("1500000", "0"), nil, 422, "invalid_amount"},
		"a negative amount": {"k", change("1500000", "-5"), nil, 422, "invalid_amount"},
		"too much":          {"k", change("1500000", "1000000000001"), nil, 422, "invalid_amount"},
		"unknown currency":  {"k", change(`"AMD"`, `"XXX"`), nil, 422, "invalid_currency"},
		"no currency":       {"k", change(`"AMD"`, `""`), nil, 422, "invalid_currency"},
		"unknown provider":  {"k", change(`"manual"`, `"none"`), nil, 422, "invalid_provider"},
		"no order":          {"k", change(`"o-1"`, `""`), nil, 422, "invalid_merchant_order_id"},
		"no way back":       {"k", change("https://shop.example/back?x=1", "back"), nil, 422, "invalid_return_url"},
		"a field it lacks":  {"k", change(`"provider"`, `"webhook"`), nil, 400, "invalid_body"},
	} {
		status, out := s.send("POST", "/v1/payment-sessions", c.key, c.body, c.edit)
		require.Equal(t, c.status, status, name)
		require.Equal(t, c.code, out["error"].(map[string]any)["code"], name)
	}
	require.Empty(t, s.double.Books())
}

func TestAKeyIsOneOrderAndAnOrderOneKey(t *testing.T) {
	s := open(t, Config{})
	first := s.session("o-1")
	status, again := s.send("POST", "/v1/payment-sessions", "key-o-1", s.body("o-1"), nil)
	require.Equal(t, 200, status)
	require.Equal(t, first, again)
	status, out := s.send("POST", "/v1/payment-sessions", "key-o-1", s.body("o-2"), nil)
	require.Equal(t, 422, status, out)
	status, out = s.send("POST", "/v1/payment-sessions", "another", s.body("o-1"), nil)
	require.Equal(t, 409, status, out)
	require.Len(t, s.double.Books(), 1)
	status, _ = s.send("GET", "/v1/payment-sessions/o-1", "", "", nil)
	require.Equal(t, 404, status, "the API knows its own ids only")
}

func TestNoticesAreRepeatedOnTheClock(t *testing.T) {
	s := open(t, Config{WebhookSecret: "s"})
	s.status = 503
	s.pay(s.session("o-1"), "")
	s.wait(1)
	delivered := func() acquirertest.Delivery { return s.double.courier.Deliveries()[0] }
	require.Eventually(t, func() bool { return delivered().Tries == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, acquirertest.Delivery{Name: "notice payment_session.captured", Tries: 1, Status: 503}, delivered())
	s.mu.Lock()
	s.status = 0
	s.mu.Unlock()
	s.control("clock", `{"advance":"5s"}`)
	got := s.wait(2)
	require.Equal(t, got[0], got[1], "the same event")
	require.Equal(t, Sign("s", []byte(got[1]), stampOf(t, s.signed[1])), s.signed[1])
	require.WithinDuration(t, time.Now(), stampOf(t, s.signed[1]), 2*time.Second, "dated by the real clock")
	require.Eventually(t, func() bool { return delivered().Done }, 5*time.Second, time.Millisecond)
	s.control("clock", `{"advance":"24h"}`)
	require.Never(t, func() bool { return len(s.notices()) > 2 }, 200*time.Millisecond, 20*time.Millisecond)
}

func stampOf(t *testing.T, header string) time.Time {
	t.Helper()
	stamp, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
	var seconds int64
	require.NoError(t, json.Unmarshal([]byte(stamp), &seconds))
	return time.Unix(seconds, 0)
}

func TestNoticesMisbehaveOnRequest(t *testing.T) {
	s := open(t, Config{WebhookSecret: "s"})
	s.pay(s.session("lost"), `,"notices":0`)
	s.pay(s.session("left"), `,"outcome":"abandoned"`)
	s.control("faults", `{"kind":"forge"}`)
	s.pay(s.session("forged"), "")
	s.wait(1)
	require.NotEqual(t, Sign("s", []byte(s.got[0]), stampOf(t, s.signed[0])), s.signed[0])
	s.control("faults", `{"kind":"duplicate"}`)
	s.pay(s.session("twice"), "")
	require.Equal(t, s.wait(3)[1], s.notices()[2])
	s.control("faults", `{"kind":"reorder"}`)
	s.pay(s.session("first"), "")
	s.pay(s.session("second"), "")
	require.Contains(t, s.wait(4)[3], `"second"`)
	s.control("clock", `{"advance":"2s"}`)
	require.Contains(t, s.wait(5)[4], `"first"`)
	s.pay(s.session("delayed"), `,"delay_ms":3600000,"notices":2`)
	s.control("clock", `{"advance":"1h"}`)
	require.Len(t, s.wait(7), 7)
}

func TestWhatBankStaffDoes(t *testing.T) {
	s := open(t, Config{})
	session := s.session("o-1")
	status, _ := s.control("refund", `{"ref":"o-1"}`)
	require.Equal(t, 409, status)
	s.pay(session, `,"outcome":"authorized"`)
	require.Zero(t, s.double.Books()[0].Captured)
	for _, c := range []struct {
		name, body string
		status     int
		entry      string
	}{
		{"capture", `{"ref":"o-1"}`, 200, "captured"},
		{"refund", `{"ref":"o-1","amount_minor":500000}`, 200, "partially_refunded"},
		{"refund", `{"ref":"o-1","amount_minor":1000001}`, 409, ""},
		{"dispute", `{"ref":"o-1","amount_minor":7}`, 200, "partially_refunded"},
		{"dispute", `{"ref":"o-1","status":"won"}`, 200, "partially_refunded"},
		{"refund", `{"ref":"o-1"}`, 200, "refunded"},
		{"refund", `{"ref":"nobody"}`, 404, ""},
		{"pay", `{"url":"` + session["checkoutUrl"].(string) + `"}`, 409, ""},
		{"pay", `{"url":"http://api.vpos.am/pay/none"}`, 404, ""},
		{"pay", `{"url":"http://api.vpos.am/pay/none","outcome":"stolen"}`, 400, ""},
		{"pay", `{`, 400, ""},
		{"orphan", `{"amount_minor":900,"currency":"USD"}`, 200, "captured"},
	} {
		status, out := s.control(c.name, c.body)
		require.Equal(t, c.status, status, "%s %s %v", c.name, c.body, out)
		if c.entry != "" {
			require.Equal(t, c.entry, out["status"])
		}
	}
	require.Contains(t, strings.Join(s.wait(7), ""), "dispute_won")
	res, err := http.Get(s.api.URL + "/_control/books")
	require.NoError(t, err)
	defer res.Body.Close()
	var books []map[string]any
	require.NoError(t, json.NewDecoder(res.Body).Decode(&books))
	require.Equal(t, map[string]any{"ref": session["id"], "order": "o-1", "amount_minor": 1.5e6, "currency": "AMD", "status": "refunded",
		"captured_minor": 1.5e6, "refunded_minor": 1.5e6}, books[0])
	s.control("reset", "")
	require.Empty(t, s.double.Books())
}

func TestASessionEndsOnTheClockUnlessLateMoneyIsAllowed(t *testing.T) {
	s := open(t, Config{})
	session := s.session("o-1")
	s.control("clock", `{"advance":"21m"}`)
	require.EqualValues(t, "expired", s.double.Books()[0].Status)
	status, _ := s.control("pay", `{"url":"`+session["checkoutUrl"].(string)+`"}`)
	require.Equal(t, 409, status)
	s.control("late", `{"allow":true}`)
	s.pay(session, "")
	require.EqualValues(t, "captured", s.double.Books()[0].Status)
}

func TestTheTokenDiesOnRequestAndLimitsCount(t *testing.T) {
	s := open(t, Config{PerSecond: 5})
	refused := 0
	for range 30 {
		if status, _ := s.send("GET", "/v1/capabilities", "", "", nil); status == 429 {
			refused++
		}
	}
	require.Positive(t, refused)
	require.Equal(t, refused, s.double.Control.Limits.Snapshot().Rejected)
	s.double.cfg.PerSecond = 1000
	s.control("faults", `{"kind":"revoke"}`)
	status, _ := s.send("GET", "/v1/capabilities", "", "", nil)
	require.Equal(t, 401, status)
	s.control("reset", "")
	status, _ = s.send("GET", "/v1/capabilities", "", "", nil)
	require.Equal(t, 200, status)
	status, _ = s.send("POST", "/api/health", "", "", nil)
	require.Equal(t, 405, status)
}

func TestTheHostedPageTakesMoneyAndReturns(t *testing.T) {
	s := open(t, Config{PublicSuffix: ".localhost:8090"})
	direct := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for button, want := range map[string]string{"leave": "pending", "decline": "failed", "authorize": "authorized", "pay": "captured"} {
		session := s.session("o-" + button)
		require.Equal(t, "http://api.vpos.am.localhost:8090/pay/"+session["id"].(string), session["checkoutUrl"])
		page := s.api.URL + "/pay/" + session["id"].(string)
		res, err := direct.Get(page)
		require.NoError(t, err)
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		for _, id := range []string{"pay", "decline", "leave", "authorize"} {
			require.Contains(t, string(text), `data-testid="`+id+`"`)
		}
		require.Contains(t, string(text), "Վճարել 15000.00 AMD")
		require.Contains(t, string(text), "&lt;b&gt;")
		res, err = direct.PostForm(page, url.Values{"do": {button}})
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		require.Equal(t, "https://shop.example/back?x=1", res.Header.Get("Location"))
		p, err := s.double.books.Get(session["id"].(string))
		require.NoError(t, err)
		require.EqualValues(t, want, p.Status)
		res, err = direct.Get(page)
		require.NoError(t, err)
		text, _ = io.ReadAll(res.Body)
		res.Body.Close()
		require.Equal(t, button == "leave" || button == "decline", bytes.Contains(text, []byte(`data-testid="pay"`)), "a declined card may be tried again")
	}
	s.wait(3)
	for path, status := range map[string]int{"/pay/none": 404, "/nothing": 404} {
		res, err := direct.Get(s.api.URL + path)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, status, res.StatusCode)
	}
}
