// Package providertest is the suite that every payments.Provider passes against the double of its acquirer.
package providertest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// Fixture is a provider connected to a fresh double.
type Fixture struct {
	Provider   payments.Provider
	Connection payments.Connection
	Bad        payments.Connection // the same with credentials that the acquirer does not accept
	Control    string              // base URL of the double; the control API is under /_control
	// Order returns a fresh order that the acquirer would take, without URLs, which the suite adds.
	Order func() payments.Order
	// Hook registers where notices go, for acquirers that do not take it with the order; may be nil.
	Hook func(url string)
	// Open turns a checkout into the URL that /_control/pay understands; nil means its URL.
	Open func(t *testing.T, c payments.Checkout) string
	// Private must not occur in any evidence: secrets, and what the double says of the payer. Digits are given
	// with what stands around them: alone they turn up in times and identifiers by chance.
	Private []string
	// Lacks names outcomes of /_control/pay that this acquirer cannot have, such as "wrong_currency".
	Lacks []string
	// RefundPath is part of the path of the call that gives a whole payment back; "efund" when empty.
	RefundPath string
	// StartPath is what the faults know the call by that opens an order, where a start asks something else before; empty
	// where it makes one call.
	StartPath string
	// BareStart says that the answer to a start is a bare number, the half of which cannot be told from a whole one.
	BareStart bool
	// Dated says that notices carry their time, so that an old one is not authentic.
	Dated bool
}

// Run runs the suite; open makes a fresh fixture for each test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*suite){
		"starting again is the same order":           (*suite).startTwice,
		"looking before paying proves nothing paid":  (*suite).lookUnpaid,
		"paid with the exact amount":                 (*suite).paid,
		"what is not money is not paid":              (*suite).unpaidOutcomes,
		"a wrong amount is told as it was captured":  (*suite).wrongAmount,
		"a wrong currency is told as it is":          (*suite).wrongCurrency,
		"another merchant's answer is foreign":       (*suite).foreign,
		"refunds in parts":                           (*suite).refunds,
		"a refund whose answer is lost":              (*suite).refundLost,
		"refunds made by the bank are seen":          (*suite).refundByBank,
		"a start whose answer is lost":               (*suite).startLost,
		"a start that takes longer than we wait":     (*suite).startSlow,
		"a refund that takes longer than we wait":    (*suite).refundSlow,
		"an acquirer that is down":                   (*suite).down,
		"an answer that cannot be read":              (*suite).unreadable,
		"a refund whose answer cannot be read":       (*suite).refundUnreadable,
		"bad credentials":                            (*suite).badCredentials,
		"a notice names our order":                   (*suite).notice,
		"forged and old notices are not authentic":   (*suite).forged,
		"an authentic notice never changes by bytes": (*suite).tampered,
		"noise is no notice":                         (*suite).noise,
		"money is taken only after a yes":            (*suite).precheck,
		"a description fit for a form":               (*suite).describes,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, Fixture: open(t), hook: &mailbox{}}
			s.RefundPath = cmp.Or(s.RefundPath, "efund")
			s.hook.answer = s.reply
			server := httptest.NewServer(s.hook)
			t.Cleanup(server.Close)
			s.notifyURL = server.URL + "/hooks/key"
			if s.Hook != nil {
				s.Hook(s.notifyURL)
			}
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	Fixture
	hook      *mailbox
	notifyURL string
}

// order is a fresh order with its URLs.
func (s *suite) order() payments.Order {
	o := s.Order()
	o.ReturnURL, o.NotifyURL, o.Language = "https://pay.example/p/token/back", s.notifyURL, "en"
	return o
}

// start opens a checkout and returns the order as it is kept afterwards, with the URL to pay at.
func (s *suite) start() (payments.Order, string) {
	s.Helper()
	o := s.order()
	checkout, err := s.Provider.Start(s.Context(), s.Connection, o)
	require.NoError(s, err)
	o.ProviderRef = checkout.ProviderRef
	return o, s.url(checkout)
}

func (s *suite) url(c payments.Checkout) string {
	if s.Open != nil {
		return s.Open(s.T, c)
	}
	return c.URL
}

// bought is an order that was paid for, and what is known of it then.
func (s *suite) bought(outcome string) (payments.Order, payments.Observation) {
	s.Helper()
	o, url := s.start()
	s.pay(url, outcome)
	seen := s.look(o)
	if o.ProviderRef == "" { // only the notice named it
		o.ProviderRef = seen.ProviderRef
	}
	return o, seen
}

// look is what is known of a paid order: the acquirer's answer or, where there is no status call, its newest notice.
func (s *suite) look(o payments.Order) payments.Observation {
	s.Helper()
	var seen payments.Observation
	var err error
	if teller, ok := s.Provider.(payments.Teller); ok {
		seen, err = teller.Tell(s.Connection, s.newest(o.Reference))
	} else {
		seen, err = s.Provider.Look(s.Context(), s.Connection, o)
	}
	require.NoError(s, err)
	s.clean(seen)
	return seen
}

// clean fails when the evidence holds what it must not.
func (s *suite) clean(seen payments.Observation) {
	s.Helper()
	for _, secret := range s.Private {
		require.NotContains(s, string(seen.Raw), secret)
		require.NotContains(s, seen.Code, secret)
	}
	if len(seen.Raw) > 0 {
		require.True(s, json.Valid(seen.Raw), "evidence is JSON")
	}
}

func (s *suite) pay(url, outcome string) {
	s.Helper()
	s.command("pay", map[string]any{"url": url, "outcome": outcome})
}

func (s *suite) fault(f standintest.Fault) {
	s.Helper()
	s.command("faults", f)
}

// command posts to the control API.
func (s *suite) command(name string, in any) {
	s.Helper()
	status, text := s.post(name, in)
	require.Equal(s, http.StatusOK, status, "%s: %s", name, text)
}

func (s *suite) post(name string, in any) (status int, answer string) {
	s.Helper()
	body, err := json.Marshal(in)
	require.NoError(s, err)
	res, err := http.Post(s.Control+"/_control/"+name, "application/json", bytes.NewReader(body))
	require.NoError(s, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func (s *suite) lacks(outcome string) bool { return slices.Contains(s.Lacks, outcome) }

// line is what the double's books say of one order.
type line struct {
	Ref      string `json:"ref"`
	Captured int64  `json:"captured_minor"`
	Refunded int64  `json:"refunded_minor"`
}

func (s *suite) books() (lines []line) {
	s.Helper()
	res, err := http.Get(s.Control + "/_control/books")
	require.NoError(s, err)
	defer res.Body.Close()
	require.NoError(s, json.NewDecoder(res.Body).Decode(&lines))
	return lines
}

// entry is this order's line in the double's books.
func (s *suite) entry(o payments.Order) (captured, refunded int64) {
	s.Helper()
	for _, line := range s.books() {
		if line.Ref == o.ProviderRef {
			return line.Captured, line.Refunded
		}
	}
	s.Fatalf("%s is not in the books", o.ProviderRef)
	return 0, 0
}

// mailbox keeps the notices it receives and answers as a merchant would.
type mailbox struct {
	answer func(n payments.Notice) (keep bool, status int, contentType string, body []byte)

	mu     sync.Mutex
	got    []payments.Notice
	refuse bool // the merchant's answer to a precheck
	asked  []payments.Notice
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n := payments.Notice{Method: r.Method, Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body, ReceivedAt: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	keep, status, contentType, reply := m.answer(n)
	if keep {
		m.got = append(m.got, n)
	} else {
		m.asked = append(m.asked, n)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(reply)
}

func (m *mailbox) decide(refuse bool) {
	m.mu.Lock()
	m.refuse = refuse
	m.mu.Unlock()
}

func (m *mailbox) questions() []payments.Notice {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

// reply answers a notice, which is kept, or a precheck, which is none.
func (s *suite) reply(n payments.Notice) (keep bool, status int, contentType string, body []byte) {
	outcome := payments.Accepted
	if asker, ok := s.Provider.(payments.Prechecker); ok {
		if _, _, err := asker.Precheck(s.Connection, n); err == nil {
			if s.hook.refuse {
				outcome = payments.Rejected
			}
			status, contentType, body = s.Provider.(payments.Replier).Reply(outcome)
			return false, status, contentType, body
		}
	}
	if replier, ok := s.Provider.(payments.Replier); ok {
		status, contentType, body = replier.Reply(outcome)
		return true, status, contentType, body
	}
	return true, http.StatusOK, "text/plain", nil
}

// receive waits for n notices.
func (s *suite) receive(n int) []payments.Notice {
	s.Helper()
	var got []payments.Notice
	require.Eventually(s, func() bool {
		s.hook.mu.Lock()
		defer s.hook.mu.Unlock()
		got = slices.Clone(s.hook.got)
		return len(got) >= n
	}, 5*time.Second, 5*time.Millisecond)
	return got
}

// newest waits for a notice about this order and returns the last one.
func (s *suite) newest(reference string) (found payments.Notice) {
	s.Helper()
	require.Eventually(s, func() bool {
		for _, n := range s.receive(0) {
			if heard, err := s.Provider.Hear(s.Connection, n); err == nil && heard.Reference == reference {
				found = n
			}
		}
		return found.Body != nil
	}, 5*time.Second, 5*time.Millisecond)
	return found
}

func (s *suite) refunder() payments.Refunder {
	refunder, ok := s.Provider.(payments.Refunder)
	require.Equal(s, ok, s.Provider.Describe().Refunds, "the description and the method agree")
	return refunder
}

// give refunds minor units of what the order was for.
func (s *suite) give(r payments.Refunder, o payments.Order, id string, minor int64) error {
	return r.Refund(context.WithoutCancel(s.Context()), s.Connection, o, id, payments.Money{Minor: minor, Currency: o.Amount.Currency})
}
