package stripe_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/stripe/stripetest"
)

var sentAt = time.Unix(1_790_000_000, 0)

func notice(body, signature string, received time.Time) payments.Notice {
	return payments.Notice{Method: "POST", Header: http.Header{"Stripe-Signature": {signature}}, Body: []byte(body), ReceivedAt: received}
}

const event = `{"id":"evt_1","object":"event","type":"checkout.session.completed","livemode":false,
	"data":{"object":{"id":"cs_1","object":"checkout.session","metadata":{"attempt":"a","order":"DP-1-1"}}}}`

func TestThePublicVectorsPass(t *testing.T) {
	type vector struct {
		Name, Header string
		OK           bool
	}
	var vectors struct {
		Secret, Body string
		Now          int64
		Vectors      []vector
	}
	fixture(t, "signature-vectors.json", &vectors)
	require.NotEmpty(t, vectors.Vectors)
	c := connection(key)
	c.Credentials["webhook_secret"] = vectors.Secret
	for _, v := range vectors.Vectors {
		heard, err := stripe.New(stripe.Config{}).Hear(c, notice(vectors.Body, v.Header, time.Unix(vectors.Now, 0)))
		require.NoError(t, err)
		require.Equal(t, v.OK, heard.Authentic, v.Name)
		require.Equal(t, "cs_test_1", heard.ProviderRef)
	}
}

func TestOnlyAGoodSignatureIsAuthentic(t *testing.T) {
	p := stripe.New(stripe.Config{})
	good := stripetest.Sign([]byte(event), sentAt, secret)
	type sent struct {
		header string
		age    time.Duration
		good   bool
	}
	for name, c := range map[string]sent{
		"now":                     {good, 0, true},
		"at the end of tolerance": {good, 300 * time.Second, true},
		"ahead within tolerance":  {good, -300 * time.Second, true},
		"too old":                 {good, 301 * time.Second, false},
		"from the future":         {good, -301 * time.Second, false},
		"rotated":                 {stripetest.Sign([]byte(event), sentAt, "whsec_old", secret), 0, true},
		"rotated, ours first":     {stripetest.Sign([]byte(event), sentAt, secret, "whsec_new"), 0, true},
		"an old secret only":      {stripetest.Sign([]byte(event), sentAt, "whsec_old"), 0, false},
		"a broken v1 too":         {good + ",v1=zz", 0, true},
		"a short v1 only":         {"t=1790000000,v1=00", 0, false},
		"spaces":                  {strings.ReplaceAll(good, ",", ", "), 0, true},
		"only an unknown scheme":  {strings.ReplaceAll(good, "v1", "v2"), 0, false},
		"no time":                 {strings.TrimPrefix(good, "t=1790000000,"), 0, false},
		"two times":               {"t=1790000000," + good, 0, false},
		"a time of words":         {"t=now," + strings.TrimPrefix(good, "t=1790000000,"), 0, false},
		"time changed":            {strings.Replace(good, "1790000000", "1790000001", 1), 0, false},
		"an endless time":         {"t=9223372036854775807,v1=00", 0, false},
		"a pair without a value":  {good + ",v1", 0, false},
		"empty":                   {"", 0, false},
		"endless":                 {good + strings.Repeat(",v0=00", 2000), 0, false},
	} {
		heard, err := p.Hear(connection(key), notice(event, c.header, sentAt.Add(c.age)))
		require.NoError(t, err, name)
		require.Equal(t, c.good, heard.Authentic, name)
		require.True(t, heard.Signed)
		require.Equal(t, "DP-1-1", heard.Reference)
		require.Equal(t, c.good, heard.Key == "evt_1", "a forged notice must not take the genuine one's key")
	}
	twice := notice(event, good, sentAt)
	twice.Header.Add("Stripe-Signature", good)
	heard, err := p.Hear(connection(key), twice)
	require.NoError(t, err)
	require.False(t, heard.Authentic)
	heard, err = stripe.New(stripe.Config{Now: func() time.Time { return sentAt }}).Hear(connection(key), notice(event, good, time.Time{}))
	require.NoError(t, err)
	require.True(t, heard.Authentic)
}

// TestARepeatedEventKeepsItsKey lets the double send events again, in another order and with other dates of the signature.
func TestARepeatedEventKeepsItsKey(t *testing.T) {
	for name, cfg := range map[string]stripetest.Config{"one secret": {}, "a secret that is rotated": {OldWebhookSecret: oldSecret}} {
		t.Run(name, func(t *testing.T) {
			var clock func() time.Time
			cfg.Dates = func() time.Time { return clock() }
			double, server, p := account(t, cfg)
			clock = double.Control.Clock.Now
			got, status := make(chan payments.Notice, 16), make(chan int, 16)
			hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- payments.Notice{Method: r.Method, Header: r.Header.Clone(), Body: body, ReceivedAt: clock()}
				select {
				case code := <-status:
					w.WriteHeader(code)
				case <-r.Context().Done():
				}
			}))
			t.Cleanup(hook.Close)
			double.SetWebhook(hook.URL)
			pay := func() payments.Order {
				o, checkout := started(t, p, order())
				control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
				return o
			}
			next := func(o payments.Order, answer int) (n payments.Notice, id string) {
				t.Helper()
				status <- answer
				n = <-got
				heard, err := p.Hear(connection(key), n)
				require.NoError(t, err)
				require.True(t, heard.Authentic)
				require.Equal(t, o.Reference, heard.Reference)
				require.NotEmpty(t, heard.Key)
				return n, heard.Key
			}

			o := pay()
			first, id := next(o, http.StatusServiceUnavailable)
			require.Eventually(t, double.Control.Idle, 5*time.Second, time.Millisecond)
			double.Control.Clock.Advance(6 * time.Second)
			again, same := next(o, http.StatusOK)
			require.Equal(t, id, same)
			require.Equal(t, first.Body, again.Body)
			require.NotEqual(t, first.Header, again.Header, "signed anew")
			again.Header = first.Header
			again.ReceivedAt = again.ReceivedAt.Add(time.Hour)
			stale, err := p.Hear(connection(key), again)
			require.NoError(t, err)
			require.Empty(t, stale.Key, "an old date is no repetition")

			control(t, server, "faults", `{"kind":"duplicate"}`)
			o = pay()
			_, once := next(o, http.StatusOK)
			_, twice := next(o, http.StatusOK)
			require.Equal(t, once, twice)
			require.NotEqual(t, id, once, "another event")

			control(t, server, "faults", `{"kind":"reorder"}`)
			late, early := pay(), pay()
			_, before := next(early, http.StatusOK)
			double.Control.Clock.Advance(2 * time.Second)
			_, after := next(late, http.StatusOK)
			require.NotEqual(t, before, after)
		})
	}
}

func TestAnEventNamesWhatIsOursAndNothingElse(t *testing.T) {
	p := stripe.New(stripe.Config{})
	for object, want := range map[string][2]string{
		`"object":"checkout.session","id":"cs_1","metadata":{"attempt":"a","order":"o"}`:                 {"o", "cs_1"},
		`"object":"payment_intent","id":"pi_1","metadata":{"attempt":"a","order":"o"}`:                   {"o", "pi_1"},
		`"object":"charge","id":"ch_1","payment_intent":"pi_1","metadata":{"attempt":"a","order":"o"}`:   {"o", "pi_1"},
		`"object":"refund","id":"re_1","payment_intent":"pi_1","metadata":{}`:                            {"", "pi_1"},
		`"object":"dispute","id":"dp_1","payment_intent":{"id":"pi_1"},"metadata":null`:                  {"", "pi_1"},
		`"object":"dispute","id":"dp_1","payment_intent":null`:                                           {"", ""},
		`"object":"checkout.session","id":"cs_1","metadata":{"order":"of another shop"}`:                 {"", ""},
		`"object":"charge","id":"ch_1","payment_intent":"pi_1"`:                                          {"", ""},
		`"object":"payout","id":"po_1"`:                                                                  {"", ""},
		`"object":"checkout.session","id":"a@b.c","metadata":{"attempt":"a","order":"+37400000000"}`:     {"", ""},
		`"object":"checkout.session","id":7,"metadata":{"attempt":"a","order":["o"]},"payment_intent":1`: {"", ""},
	} {
		body := `{"id":"evt_1","object":"event","data":{"object":{` + object + `}}}`
		heard, err := p.Hear(connection(key), notice(body, stripetest.Sign([]byte(body), sentAt, secret), sentAt))
		require.NoError(t, err, object)
		require.True(t, heard.Authentic)
		require.Equal(t, want, [2]string{heard.Reference, heard.ProviderRef}, object)
	}
	for _, extra := range []string{`"livemode":true`, `"account":"acct_1"`} {
		body := `{` + extra + `,"id":"evt_1","object":"event","data":{"object":{}}}`
		heard, err := p.Hear(connection(key), notice(body, stripetest.Sign([]byte(body), sentAt, secret), sentAt))
		require.NoError(t, err)
		require.False(t, heard.Authentic, extra)
	}
	for _, body := range []string{`{}`, `{"id":"evt_1"}`, `{"object":"event"}`, `{"object":"event","id":"a b"}`, `{"object":"event","id":"e","data":[]}`} {
		_, err := p.Hear(connection(key), notice(body, "", sentAt))
		require.ErrorIs(t, err, payments.ErrNotice, body)
	}
}

func FuzzHear(f *testing.F) {
	f.Add(event, "t=1790000000,v1=00")
	f.Add(`{"id":"evt_1","object":"event","data":{"object":{"object":"dispute","payment_intent":{"id":5}}}}`, "")
	f.Add(`{"id":"evt_1","object":"event","data":null}`, "t=,v1=,v1")
	p := stripe.New(stripe.Config{})
	f.Fuzz(func(t *testing.T, body, signature string) {
		heard, err := p.Hear(connection(key), notice(body, signature, sentAt))
		require.False(t, heard.Authentic, "nobody guesses a signature")
		require.True(t, err == nil || errors.Is(err, payments.ErrNotice), err)
		require.False(t, strings.ContainsAny(heard.Reference+heard.ProviderRef+heard.Key, " @/\"<>"))
	})
}

// FuzzLook gives any body as the answer to everything.
func FuzzLook(f *testing.F) {
	for _, seed := range []string{
		`{"id":"cs_1","status":"complete","payment_status":"paid","amount_total":5,"currency":"amd","payment_intent":"pi_1","data":[{"id":"x","amount":5,"status":"succeeded"}]}`,
		`{"id":"cs_1","status":"complete","payment_status":"unpaid","payment_intent":{"id":"pi_1","status":"requires_capture","latest_charge":{"amount_captured":5}}}`,
		`{"id":"a@b.c","status":"+37400000000","payment_intent":{"id":[]}}`, `[]`, `{"data":{}}`, `{"payment_intent":[{}]}`,
	} {
		f.Add(seed)
	}
	p := stripe.New(stripe.Config{})
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "no_payment_required") || strings.Contains(body, `\u`) {
			t.Skip("the one status that is paid with nothing")
		}
		providertest.AnyAnswer(t, p, connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"}, body)
	})
}
