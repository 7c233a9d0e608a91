package idram_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/idram"
	"github.com/dealpay/dealpay/payments/idram/idramtest"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
)

const account, secret = "100000114", "test-secret-key"

func connection(secret string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: idram.Key, Credentials: map[string]string{"account": account, "secret": secret}}
}

func order(n int) payments.Order {
	return payments.Order{Attempt: fmt.Sprintf("att_%02d", n), Reference: fmt.Sprintf("DP-%d-1", n), Amount: payments.Money{Minor: 1_500_000, Currency: "AMD"},
		Description: "Կանխավճար 7", ReturnURL: "https://pay.example/p/token/back", Language: "hy"}
}

// wallet is a double with a provider that sends customers to it.
func wallet(t *testing.T) (*idramtest.Server, *httptest.Server, *idram.Provider) {
	t.Helper()
	double := idramtest.New(idramtest.Config{Account: account, Secret: secret})
	t.Cleanup(double.Close)
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, idram.New(idram.Config{PayURL: server.URL + "/Payment/GetPayment"})
}

// submit does what the customer's browser does with the form, and returns the page that it is shown.
func submit(t *testing.T, c payments.Checkout) string {
	t.Helper()
	form := url.Values{}
	for name, value := range c.Form {
		form.Set(name, value)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.PostForm(c.URL, form)
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	page, err := res.Location()
	require.NoError(t, err)
	return page.String()
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		double, server, provider := wallet(t)
		n := 0
		return providertest.Fixture{Provider: provider, Connection: connection(secret), Bad: connection(""), Control: server.URL,
			Order: func() payments.Order { n++; return order(n) }, Hook: double.Call, Open: submit, Private: []string{secret, "201234567"},
			Lacks: []string{"authorized", "wrong_currency", "merchant", "bank_refund"}}
	})
}

func TestTheFormIsAsDocumented(t *testing.T) {
	p := idram.New(idram.Config{})
	o := order(1806)
	checkout, err := p.Start(t.Context(), connection(secret), o)
	require.NoError(t, err)
	require.Equal(t, payments.Checkout{URL: "https://banking.idram.am/Payment/GetPayment", Form: map[string]string{"EDP_LANGUAGE": "AM",
		"EDP_REC_ACCOUNT": account, "EDP_DESCRIPTION": "Կանխավճար 7", "EDP_AMOUNT": "15000.00", "EDP_BILL_NO": "DP-1806-1"}}, checkout)
	for _, change := range []func(*payments.Order){
		func(o *payments.Order) { o.Amount.Minor = 0 },
		func(o *payments.Order) { o.Amount.Currency = "USD" },
		func(o *payments.Order) { o.Reference = "" },
		func(o *payments.Order) { o.Reference = "a:b" },
	} {
		o := order(1)
		change(&o)
		_, err := p.Start(t.Context(), connection(secret), o)
		require.ErrorIs(t, err, payments.ErrRefused)
	}
	for _, bad := range []string{"", "10000011a", strings.Repeat("1", 21), "1:2"} {
		c := connection(secret)
		c.Credentials["account"] = bad
		require.ErrorIs(t, p.Check(t.Context(), c), payments.ErrCredentials)
	}
}

const fixtures = "../../../shared/fixtures/acquirers/idram/"

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(fixtures + file)
	if err != nil {
		t.Skip("the documented examples are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, into), file)
}

func post(form map[string]string) payments.Notice {
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	return payments.Notice{Method: "POST", Body: []byte(values.Encode())}
}

func TestDocumentedChecksumsAreGood(t *testing.T) {
	var vectors struct {
		Secret  string `json:"secret"`
		Vectors []struct {
			Fields   []string `json:"fields"`
			Checksum string   `json:"checksum"`
		} `json:"vectors"`
	}
	read(t, "checksum-vectors.json", &vectors)
	require.NotEmpty(t, vectors.Vectors)
	p := idram.New(idram.Config{})
	for _, v := range vectors.Vectors {
		f := v.Fields
		form := map[string]string{"EDP_REC_ACCOUNT": f[0], "EDP_AMOUNT": f[1], "EDP_BILL_NO": f[2], "EDP_PAYER_ACCOUNT": f[3], "EDP_TRANS_ID": f[4],
			"EDP_TRANS_DATE": f[5], "EDP_CHECKSUM": v.Checksum}
		for _, sum := range []string{v.Checksum, strings.ToUpper(v.Checksum)} {
			form["EDP_CHECKSUM"] = sum
			heard, err := p.Hear(connection(vectors.Secret), post(form))
			require.NoError(t, err)
			require.Equal(t, payments.Heard{Reference: f[2], ProviderRef: f[4], Signed: true, Authentic: true, Key: f[2] + ":" + f[4]}, heard)
		}
		for _, other := range []string{"", "another"} {
			heard, err := p.Hear(connection(other), post(form))
			require.NoError(t, err)
			require.False(t, heard.Authentic)
			require.Empty(t, heard.Key)
			_, err = p.Tell(connection(other), post(form))
			require.ErrorIs(t, err, payments.ErrNotice)
		}
	}
}

func TestDocumentedCallsAreUnderstood(t *testing.T) {
	var confirm, precheck struct {
		Callback struct {
			Form map[string]string `json:"form"`
		} `json:"callback"`
	}
	read(t, "confirm.json", &confirm)
	read(t, "precheck.json", &precheck)
	p := idram.New(idram.Config{})
	seen, err := p.Tell(connection(secret), post(confirm.Callback.Form))
	require.NoError(t, err)
	require.Equal(t, state.AttemptPaid, seen.Status)
	require.Equal(t, payments.Money{Minor: 190_000, Currency: "AMD"}, seen.Captured)
	require.Equal(t, "1806", seen.Reference)
	require.Equal(t, "12345678901234", seen.ProviderRef)
	require.Equal(t, "2026-08-26", seen.PaidAt.Format(time.DateOnly))
	providertest.Sane(t, seen, nil)
	require.NotContains(t, string(seen.Raw), "201234567", "the payer's account is not kept")
	bill, amount, err := p.Precheck(connection(secret), post(precheck.Callback.Form))
	require.NoError(t, err)
	require.Equal(t, "1806", bill)
	require.Equal(t, seen.Captured, amount)

	var refused struct {
		Cases []struct {
			Why  string            `json:"why"`
			Form map[string]string `json:"form"`
		} `json:"cases"`
	}
	read(t, "precheck-refuse.json", &refused)
	for _, c := range refused.Cases { // the caller refuses by what it knows of the bill; only the account is ours to see
		bill, amount, err := p.Precheck(connection(secret), post(c.Form))
		if c.Form["EDP_REC_ACCOUNT"] != account {
			require.ErrorIs(t, err, payments.ErrRefused)
			continue
		}
		require.NoError(t, err, c.Why)
		require.Equal(t, c.Form["EDP_BILL_NO"], bill)
		require.Equal(t, c.Form["EDP_AMOUNT"], amount.Decimal())
	}
}

func TestAStrangeCallIsNone(t *testing.T) {
	good := map[string]string{"EDP_REC_ACCOUNT": account, "EDP_AMOUNT": "1900.00", "EDP_BILL_NO": "1806", "EDP_PAYER_ACCOUNT": "201234567",
		"EDP_TRANS_ID": "12345678901234", "EDP_TRANS_DATE": "26/08/2026"}
	good["EDP_CHECKSUM"] = idramtest.Sign(secret, good)
	p := idram.New(idram.Config{})
	heard, err := p.Hear(connection(secret), post(good))
	require.NoError(t, err)
	require.True(t, heard.Authentic)
	for name, value := range map[string]string{"EDP_AMOUNT": "-1", "EDP_BILL_NO": "18:06", "EDP_REC_ACCOUNT": "", "EDP_PAYER_ACCOUNT": "a@b.c",
		"EDP_TRANS_ID": "", "EDP_TRANS_DATE": "2026-08-26", "EDP_PRECHECK": "YES"} {
		changed := map[string]string{}
		for k, v := range good {
			changed[k] = v
		}
		changed[name] = value
		_, err := p.Hear(connection(secret), post(changed))
		require.ErrorIs(t, err, payments.ErrNotice, name)
		_, err = p.Tell(connection(secret), post(changed))
		require.ErrorIs(t, err, payments.ErrNotice, name)
		_, _, err = p.Precheck(connection(secret), post(changed))
		require.ErrorIs(t, err, payments.ErrNotice, name)
	}
	twice := post(good)
	twice.Query = "EDP_AMOUNT=1.00"
	_, err = p.Hear(connection(secret), twice)
	require.ErrorIs(t, err, payments.ErrNotice)
	good["EDP_REC_ACCOUNT"] = "100000999"
	good["EDP_CHECKSUM"] = idramtest.Sign(secret, good)
	heard, err = p.Hear(connection(secret), post(good))
	require.NoError(t, err)
	require.False(t, heard.Authentic, "another merchant's account")
}

// merchant answers confirmations with this, after a yes to the precheck.
func merchant(t *testing.T, double *idramtest.Server, status int, body string) {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("EDP_PRECHECK") == "YES" {
			_, _ = io.WriteString(w, "OK")
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(hook.Close)
	double.Call(hook.URL)
}

func TestTheAnswerDecidesAboutTheMoney(t *testing.T) {
	p := idram.New(idram.Config{})
	for outcome, kept := range map[payments.Outcome]bool{payments.Accepted: true, payments.Duplicate: true, payments.Rejected: false,
		payments.Unverified: true, payments.Broken: true, "": true} {
		double, server, provider := wallet(t)
		status, contentType, body := p.Reply(outcome)
		require.NotEmpty(t, contentType)
		merchant(t, double, status, string(body))
		checkout, err := provider.Start(t.Context(), connection(secret), order(1))
		require.NoError(t, err)
		res, err := http.Post(server.URL+"/_control/pay", "application/json", strings.NewReader(fmt.Sprintf(`{"url":%q}`, submit(t, checkout))))
		require.NoError(t, err)
		res.Body.Close()
		final := outcome == payments.Accepted || outcome == payments.Duplicate
		if final {
			require.Never(t, func() bool { return len(double.Alerts()) > 0 }, 50*time.Millisecond, 10*time.Millisecond)
		} else {
			require.Eventually(t, func() bool { return len(double.Alerts()) == 1 }, 5*time.Second, 5*time.Millisecond, outcome)
		}
		require.Equal(t, kept, double.Books()[0].Captured-double.Books()[0].Refunded == order(1).Amount.Minor, outcome)
		require.Equal(t, !kept, double.Books()[0].Status == "cancelled", outcome)
	}
}

func TestTheDoubleTakesMoneyOnlyAfterAnExactOK(t *testing.T) {
	for answer, taken := range map[string]bool{"OK": true, "OK\n": false, "\uFEFFOK": false, "ok": false, "<p>OK</p>": false, "": false} {
		double, _, provider := wallet(t)
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
		double.Call(hook.URL)
		checkout, err := provider.Start(t.Context(), connection(secret), order(1))
		require.NoError(t, err)
		browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := browser.PostForm(submit(t, checkout), url.Values{"do": {"pay"}})
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, map[bool]string{true: "/Payment/Success", false: "/Payment/Fail"}[taken], res.Header.Get("Location"), "%q", answer)
		require.Equal(t, taken, double.Books()[0].Captured > 0, "%q", answer)
		double.Close()
		hook.Close()
	}
	double, server, _ := wallet(t)
	for _, form := range []string{"", "EDP_LANGUAGE=EN&EDP_REC_ACCOUNT=1&EDP_AMOUNT=1&EDP_BILL_NO=1", "EDP_LANGUAGE=HY&EDP_REC_ACCOUNT=100000114&EDP_AMOUNT=1&EDP_BILL_NO=1",
		"EDP_LANGUAGE=EN&EDP_REC_ACCOUNT=100000114&EDP_AMOUNT=0&EDP_BILL_NO=1"} {
		res, err := http.Post(server.URL+"/Payment/GetPayment", "application/x-www-form-urlencoded", strings.NewReader(form))
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, http.StatusBadRequest, res.StatusCode, form)
	}
	require.Empty(t, double.Books())
}

// FuzzCall takes any form as a call of Idram: nobody guesses a checksum, a call is a precheck or a confirmation or
// nothing, and what was signed is told as it was signed.
func FuzzCall(f *testing.F) {
	f.Add("EDP_PRECHECK=YES&EDP_BILL_NO=1806&EDP_REC_ACCOUNT=100000114&EDP_AMOUNT=1900.00")
	f.Add("EDP_BILL_NO=1806&EDP_REC_ACCOUNT=100000114&EDP_PAYER_ACCOUNT=201234567&EDP_AMOUNT=1900&EDP_TRANS_ID=12345678901234&EDP_TRANS_DATE=26%2F08%2F2026&EDP_CHECKSUM=00")
	f.Add("EDP_AMOUNT=1&EDP_AMOUNT=2")
	f.Fuzz(func(t *testing.T, body string) {
		p, c, n := idram.New(idram.Config{}), connection(secret), payments.Notice{Body: []byte(body)}
		_, amount, asked := p.Precheck(c, n)
		heard, err := p.Hear(c, n)
		require.True(t, asked != nil || err != nil, "never both")
		if asked == nil {
			require.True(t, amount.Valid())
		}
		if err != nil {
			require.ErrorIs(t, err, payments.ErrNotice)
			return
		}
		require.False(t, heard.Authentic)
		require.False(t, strings.ContainsAny(heard.Reference+heard.ProviderRef, " @/\"<>:"))
		values, err := url.ParseQuery(body)
		require.NoError(t, err)
		form := map[string]string{}
		for name := range values {
			form[name] = values.Get(name)
		}
		form["EDP_REC_ACCOUNT"] = account
		form["EDP_CHECKSUM"] = idramtest.Sign(secret, form)
		if len(form) > 50 { // the checksum was one field too many
			return
		}
		seen, err := p.Tell(c, post(form))
		providertest.Sane(t, seen, err)
		require.NoError(t, err)
		require.Equal(t, form["EDP_BILL_NO"], seen.Reference)
	})
}

// The documented effects of answers, compared with what each outcome answers.
func TestEachOutcomeHasTheDocumentedEffect(t *testing.T) {
	text, err := os.ReadFile(fixtures + "reply-semantics.json")
	if err != nil {
		t.Skip("the documented answers are not beside this checkout")
	}
	var doc struct {
		Replies []struct {
			HTTP   any    `json:"http"`
			Body   string `json:"body"`
			Effect string `json:"idram_effect"`
		} `json:"confirmation_reply"`
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	effect := func(status int, body string) string {
		for _, r := range doc.Replies {
			switch {
			case r.HTTP == float64(status) && (r.Body == body || r.Body == "anything else"), r.HTTP == "not 2xx" && status/100 != 2:
				return strings.Fields(r.Effect)[1%len(strings.Fields(r.Effect))]
			}
		}
		return ""
	}
	p := idram.New(idram.Config{})
	for outcome, want := range map[payments.Outcome]string{payments.Accepted: "final", payments.Duplicate: "final", payments.Rejected: "automatically",
		payments.Unverified: "stays", payments.Broken: "stays"} {
		status, _, body := p.Reply(outcome)
		require.Equal(t, want, effect(status, string(body)), outcome)
	}
}
