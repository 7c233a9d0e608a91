package providertest

import (
	"bytes"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// told is an order that was paid for, and the notice of it.
func (s *suite) told() (payments.Order, payments.Notice) {
	s.Helper()
	if !s.Provider.Describe().Notices {
		s.Skip("this acquirer sends no notices")
	}
	before := len(s.receive(0))
	o, url := s.start()
	s.pay(url, "paid")
	return o, s.receive(before + 1)[before]
}

func (s *suite) hear(n payments.Notice) payments.Heard {
	s.Helper()
	heard, err := s.Provider.Hear(s.Connection, n)
	require.NoError(s, err)
	return heard
}

func (s *suite) notice() {
	o, n := s.told()
	heard := s.hear(n)
	require.True(s, heard.Reference == o.Reference || (heard.ProviderRef != "" && heard.ProviderRef == o.ProviderRef), "%+v", heard)
	require.Equal(s, heard.Signed, heard.Authentic, "a genuine notice of an acquirer that signs is authentic")
	require.Equal(s, heard, s.hear(n), "hearing depends on nothing else")

	s.fault(standintest.Fault{Kind: standintest.Duplicate})
	_, url := s.start()
	s.pay(url, "paid")
	twice := s.receive(3)
	require.Equal(s, s.hear(twice[1]).Key, s.hear(twice[2]).Key, "a repetition is recognisable")
	require.Equal(s, twice[1].Body, twice[2].Body)
}

func (s *suite) forged() {
	_, n := s.told()
	if !s.hear(n).Signed {
		s.Skip("this acquirer does not sign its notices")
	}
	s.fault(standintest.Fault{Kind: standintest.Forge})
	_, url := s.start()
	s.pay(url, "paid")
	forged := s.hear(s.receive(2)[1])
	require.False(s, forged.Authentic)
	require.True(s, forged.Signed)

	empty := s.Connection
	empty.Credentials = map[string]string{}
	if heard, err := s.Provider.Hear(empty, n); err == nil {
		require.False(s, heard.Authentic, "no secret verifies nothing")
	}
	if s.Dated {
		old, early := n, n
		old.ReceivedAt = n.ReceivedAt.Add(time.Hour)
		early.ReceivedAt = n.ReceivedAt.Add(-time.Hour)
		require.False(s, s.hear(old).Authentic)
		require.False(s, s.hear(early).Authentic)
	}
}

// tampered changes every digit of the notice in turn, of its body and its query: amounts, ids, times.
func (s *suite) tampered() {
	_, n := s.told()
	if !s.hear(n).Signed {
		s.Skip("this acquirer does not sign its notices")
	}
	changes := 0
	for text, in := range map[string]func(*payments.Notice, string){
		string(n.Body): func(n *payments.Notice, text string) { n.Body = []byte(text) },
		n.Query:        func(n *payments.Notice, text string) { n.Query = text },
	} {
		for i, b := range []byte(text) {
			if b < '0' || b > '9' {
				continue
			}
			changed := n
			in(&changed, text[:i]+string('0'+(b-'0'+1)%10)+text[i+1:])
			changes++
			if heard, err := s.Provider.Hear(s.Connection, changed); err == nil {
				require.False(s, heard.Authentic, "%s %s", changed.Query, changed.Body)
			}
		}
	}
	require.Positive(s, changes, "there was nothing to change")
}

func (s *suite) noise() {
	for _, body := range [][]byte{nil, []byte("{"), []byte("null"), []byte("[]"), []byte("<html>"), bytes.Repeat([]byte("a=b&"), 1000), {0xff, 0xfe}} {
		heard, err := s.Provider.Hear(s.Connection, payments.Notice{Method: "POST", Body: body, ReceivedAt: time.Now()})
		if err != nil {
			require.ErrorIs(s, err, payments.ErrNotice)
			continue
		}
		require.False(s, heard.Authentic)
	}
}

// precheck asks whether money may be taken: nothing is taken after a no, and the question names order and amount.
func (s *suite) precheck() {
	asker, ok := s.Provider.(payments.Prechecker)
	if !ok {
		s.Skip("this acquirer takes money without asking")
	}
	s.hook.decide(true)
	o, url := s.start()
	status, text := s.post("pay", map[string]any{"url": url, "outcome": "paid"})
	require.Equal(s, http.StatusConflict, status, text)
	require.Empty(s, s.receive(0), "nothing is told of money that was not taken")
	asked := s.hook.questions()
	require.Len(s, asked, 1)
	reference, amount, err := asker.Precheck(s.Connection, asked[0])
	require.NoError(s, err)
	require.Equal(s, o.Reference, reference)
	require.Equal(s, o.Amount, amount)
	heard, err := s.Provider.Hear(s.Connection, asked[0])
	require.False(s, err == nil && heard.Authentic, "a question is no payment")
	s.hook.decide(false)
	o, seen := s.bought("paid")
	require.Equal(s, o.Amount, seen.Captured)
	_, _, err = asker.Precheck(s.Connection, s.newest(o.Reference))
	require.ErrorIs(s, err, payments.ErrNotice, "a payment is no question")
}

func (s *suite) describes() {
	d := s.Provider.Describe()
	require.NotEmpty(s, d.Name)
	require.NotEmpty(s, d.Hosts)
	require.NotEmpty(s, d.Credentials)
	seen := map[string]bool{}
	for _, c := range d.Credentials {
		require.NotEmpty(s, c.Label, c.Key)
		require.False(s, seen[c.Key], "one field, one key")
		seen[c.Key] = true
	}
	s.refunder()
	for key := range s.Connection.Credentials {
		require.True(s, seen[key], "the connection uses only described credentials")
	}
}
