package arca_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/arca/arcatest"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
)

// keyed is a connection whose bank signs callbacks with this key; empty means it does not sign.
func keyed(key string) payments.Connection {
	c := connection(password)
	c.Credentials["callback_key"] = key
	return c
}

func hear(t *testing.T, key string, n payments.Notice) payments.Heard {
	t.Helper()
	heard, err := arca.New(arca.Config{}).Hear(keyed(key), n)
	require.NoError(t, err)
	return heard
}

func TestDocumentedChecksumsAreGood(t *testing.T) {
	var vectors struct {
		Vectors []struct {
			Key, Checksum string
			Text          string `json:"string_to_sign"`
		} `json:"vectors"`
	}
	read(t, fixtures+"rbs-callback-hmac-vectors.json", &vectors)
	require.NotEmpty(t, vectors.Vectors)
	for _, v := range vectors.Vectors {
		form := url.Values{"checksum": {v.Checksum}, "sign_alias": {"any"}}
		parts := strings.Split(v.Text, ";")
		for i := 0; i+1 < len(parts); i += 2 {
			form.Set(parts[i], parts[i+1])
		}
		require.True(t, hear(t, v.Key, payments.Notice{Query: form.Encode()}).Authentic, v.Text)
		require.True(t, hear(t, v.Key, payments.Notice{Body: []byte(form.Encode())}).Authentic)
		form.Set("checksum", strings.ToLower(v.Checksum))
		require.True(t, hear(t, v.Key, payments.Notice{Query: form.Encode()}).Authentic)
		require.False(t, hear(t, v.Key+"x", payments.Notice{Query: form.Encode()}).Authentic)
		form.Set("status", "7")
		require.False(t, hear(t, v.Key, payments.Notice{Query: form.Encode()}).Authentic)
	}
}

func TestEveryDocumentedCallbackNamesItsOrder(t *testing.T) {
	var cases struct {
		Key   string `json:"key"`
		Cases []struct {
			Query map[string]string `json:"query"`
		} `json:"cases"`
	}
	read(t, fixtures+"rbs-callback-cases.json", &cases)
	require.NotEmpty(t, cases.Cases)
	for _, c := range cases.Cases {
		form := url.Values{}
		for name, value := range c.Query {
			form.Set(name, value)
		}
		heard := hear(t, cases.Key, payments.Notice{Query: form.Encode()})
		require.True(t, heard.Authentic && heard.Signed, c.Query["operation"])
		require.Equal(t, "T12-A000000901", heard.Reference)
		require.Equal(t, c.Query["mdOrder"], heard.ProviderRef)
	}
}

func TestACallbackWithoutAKeyIsAHint(t *testing.T) {
	n := payments.Notice{Query: "mdOrder=a&orderNumber=DP-1-1&operation=deposited&status=1&checksum=" + strings.Repeat("0", 64)}
	require.Equal(t, payments.Heard{Reference: "DP-1-1", ProviderRef: "a"}, hear(t, "", n))
	require.Equal(t, payments.Heard{Reference: "DP-1-1", ProviderRef: "a", Signed: true}, hear(t, "k", n))
	n.Query = "mdOrder=a&checksum=" + arcatest.Sign("", map[string]string{"mdOrder": "a"})
	require.False(t, hear(t, "", n).Authentic, "an empty key verifies nothing")
}

func TestTwoEqualRefundsAreTwoCallbacks(t *testing.T) {
	at := time.Unix(1_790_000_000, 0)
	n := payments.Notice{Query: "mdOrder=a&operation=refunded&status=1&amount=5", ReceivedAt: at}
	first := hear(t, "", n).Key
	require.NotEmpty(t, first)
	n.ReceivedAt = at.Add(time.Minute)
	require.Equal(t, first, hear(t, "", n).Key, "a repetition")
	n.ReceivedAt = at.Add(time.Hour)
	require.NotEqual(t, first, hear(t, "", n).Key)
}

func TestAnAmbiguousCallbackIsNone(t *testing.T) {
	for _, n := range []payments.Notice{
		{Query: "mdOrder=a&mdOrder=b"},
		{Query: "mdOrder=a", Body: []byte("mdOrder=a")},
		{Query: "mdOrder=a&x=b%3Bc"},
		{Query: "mdOrder=a&b%3Bc=x"},
		{Query: "mdOrder=a;orderNumber=b"},
		{Query: "operation=deposited&status=1"},
		{Query: "mdOrder=a%40b.c&orderNumber=%2B37400000000"},
		{Query: "mdOrder=a&" + strings.Repeat("x", 10) + "%zz"},
		{},
	} {
		_, err := arca.New(arca.Config{}).Hear(keyed("k"), n)
		require.ErrorIs(t, err, payments.ErrNotice, "%+v", n)
	}
}

func TestCallbacksAlsoComeByGet(t *testing.T) {
	got := make(chan payments.Notice, 1)
	double, server, p := bank(t, arcatest.Config{CallbackKey: callbackKey, CallbackByGet: true, HTTP: &http.Client{
		Transport: transport(func(r *http.Request) { got <- payments.Notice{Method: r.Method, Query: r.URL.RawQuery} })}})
	double.Call("http://hook.example/hooks/key")
	o := paid(t, server, p, 1)
	heard := hear(t, callbackKey, <-got)
	require.True(t, heard.Authentic)
	require.Equal(t, o.ProviderRef, heard.ProviderRef)
}

// transport hands each request over and answers 200.
type transport func(*http.Request)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return providertest.Answer(http.StatusOK, "").Transport.RoundTrip(r)
}

func TestADeclinedOrderFailedExpiredOrIsUnsettled(t *testing.T) {
	for code, want := range map[string]state.AttemptStatus{"116": state.AttemptFailed, "-2007": state.AttemptExpired, "-2013": state.AttemptFailed,
		"-1": state.AttemptFailed, "424242": state.AttemptFailed, "151019": ""} {
		seen, err := answered(t, `{"orderStatus":6,"actionCode":`+code+`,"amount":5,"currency":"051"}`)
		require.Equal(t, want, seen.Status, code)
		require.Equal(t, want == "", errors.Is(err, payments.ErrNothingNew), code)
		require.Equal(t, code, seen.Code)
	}
}

func TestOnlyAnOrderInAuthenticationIsBusy(t *testing.T) {
	for _, status := range []int{0, 1, 2, 3, 5, 6} {
		seen, err := answered(t, fmt.Sprintf(`{"orderStatus":%d,"actionCode":0,"amount":5,"currency":"051"}`, status))
		require.NoError(t, err, status)
		require.Equal(t, status == 5, seen.Busy, status)
	}
}

// answered looks at an order while the gateway answers this.
func answered(t *testing.T, body string) (payments.Observation, error) {
	t.Helper()
	c := keyed("")
	c.HTTP = providertest.Answer(http.StatusOK, body)
	seen, err := arca.New(arca.Config{}).Look(t.Context(), c, payments.Order{Reference: "o", ProviderRef: "a"})
	providertest.Sane(t, seen, err)
	return seen, err
}

func TestStrangeAnswersProveNothing(t *testing.T) {
	for body, want := range map[string]error{
		`{"orderStatus":7}`:                                        payments.ErrNothingNew,
		`{"orderStatus":"two"}`:                                    payments.ErrNothingNew,
		`{"orderStatus":2,"OrderStatus":0,"amount":5}`:             payments.ErrNothingNew,
		`{"orderStatus":2,"amount":5}`:                             payments.ErrNothingNew,
		`{"orderStatus":2,"currency":"051"}`:                       payments.ErrNothingNew,
		`{"orderStatus":2,"amount":-5,"currency":"051"}`:           payments.ErrNothingNew,
		`{"orderStatus":2,"amount":5.5,"currency":"051"}`:          payments.ErrNothingNew,
		`{"orderStatus":2,"amount":1000000000001,"currency":"51"}`: payments.ErrNothingNew,
		`{"orderStatus":4,"amount":5,"currency":"051","paymentAmountInfo":{"approvedAmount":5,"refundedAmount":6}}`: payments.ErrNothingNew,
		`{"errorCode":"12","orderStatus":2}`: payments.ErrNothingNew,
		`{"errorCode":7}`:                    payments.ErrUnavailable,
		`{"errorCode":5}`:                    payments.ErrCredentials,
		`<html>`:                             payments.ErrUnavailable,
		`null`:                               payments.ErrUnavailable,
	} {
		_, err := answered(t, body)
		require.ErrorIs(t, err, want, body)
	}
	for body, want := range map[string]payments.Observation{
		`{"orderNumber":"o"}`:                                         {},
		`{"orderNumber":"other"}`:                                     {Foreign: true},
		`{"orderNumber":"o","terminalId":"2"}`:                        {Foreign: true},
		`{"attributes":[{"name":"mdOrder","value":"A"}]}`:             {},
		`{"attributes":[{"name":"mdOrder","value":"b"}]}`:             {Foreign: true},
		`{"refunds":[{"amount":2,"actionCode":0}],"orderStatus":"4"}`: {Refunded: payments.Money{Minor: 2, Currency: "AMD"}},
	} {
		body = strings.TrimSuffix(body, "}") + `,"amount":"5","currency":"51"`
		if !strings.Contains(body, "orderStatus") {
			body += `,"orderStatus":2`
		}
		seen, err := answered(t, body+"}")
		require.NoError(t, err, body)
		require.Equal(t, payments.Money{Minor: 5, Currency: "AMD"}, seen.Captured, body)
		require.Equal(t, want.Foreign, seen.Foreign, body)
		require.Equal(t, want.Refunded.Minor, seen.Refunded.Minor, body)
	}
}

// FuzzLook gives any body as the gateway's answer.
func FuzzLook(f *testing.F) {
	for _, seed := range []string{
		`{"errorCode":"0","orderStatus":2,"amount":5,"currency":"051","orderNumber":"o","authDateTime":1790000050000,"ip":"192.0.2.10"}`,
		`{"orderStatus":4,"amount":5,"currency":"643","paymentAmountInfo":{"approvedAmount":5,"depositedAmount":3,"refundedAmount":2}}`,
		`{"OrderStatus":4,"Amount":5,"currency":"051","refunds":[{"amount":5,"actionCode":"0"}],"attributes":[{"name":"mdOrder","value":"a@b"}]}`,
		`{"orderStatus":6,"actionCode":-2007}`, `{"errorCode":5}`, `{"refunds":{}}`, `[]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		p := arca.New(arca.Config{})
		providertest.AnyAnswer(t, p, keyed(""), payments.Order{Reference: "o", ProviderRef: "a"}, body)
		providertest.AnyAnswer(t, p, keyed(""), payments.Order{Reference: "o"}, body)
	})
}

// FuzzHear takes any form as a callback: nobody guesses a checksum, and what was signed is heard as authentic.
func FuzzHear(f *testing.F) {
	f.Add("mdOrder=a&orderNumber=DP-1-1&operation=deposited&status=1&checksum=00", "")
	f.Add("mdOrder=a", "status=0&sign_alias=x&x=%00")
	f.Add("a=1&a=2", ";")
	f.Fuzz(func(t *testing.T, query, body string) {
		p := arca.New(arca.Config{})
		heard, err := p.Hear(keyed("k"), payments.Notice{Query: query, Body: []byte(body)})
		if err != nil {
			require.ErrorIs(t, err, payments.ErrNotice)
			return
		}
		require.False(t, heard.Authentic)
		require.False(t, strings.ContainsAny(heard.Reference+heard.ProviderRef, " @/\"<>;"))
		fields, form := map[string]string{}, url.Values{}
		for _, text := range []string{query, body} {
			values, err := url.ParseQuery(text)
			require.NoError(t, err)
			for name := range values {
				fields[name] = values.Get(name)
				form.Set(name, values.Get(name))
			}
		}
		form.Set("checksum", arcatest.Sign("k", fields))
		if len(form) > 50 { // the checksum was one field too many
			return
		}
		heard, err = p.Hear(keyed("k"), payments.Notice{Body: []byte(form.Encode())})
		require.NoError(t, err)
		require.True(t, heard.Authentic)
	})
}
