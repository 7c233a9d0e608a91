package telcell_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/telcell"
	"github.com/dealpay/dealpay/payments/telcell/telcelltest"
)

// example reads a public example into v; the values of its requests and callbacks are forms.
func example(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/telcell/" + name + ".json")
	if err != nil {
		t.Skip("the public examples are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, v))
}

func values(form map[string]string) url.Values {
	v := url.Values{}
	for name, value := range form {
		v.Set(name, value)
	}
	return v
}

func callback(form map[string]string) payments.Notice {
	return payments.Notice{Method: http.MethodPost, Body: []byte(values(form).Encode()), ReceivedAt: time.Now()}
}

var exampleConnection = payments.Connection{Credentials: map[string]string{"issuer": "shop@example.am", "shop_key": "test-shop-key", "buyer": "+37400000000"}}

func TestThePublicCallbacksAreAuthentic(t *testing.T) {
	p := telcell.New(telcell.Config{})
	for _, name := range []string{"callback-paid", "callback-rejected", "callback-plain-issuer-id"} {
		var e struct {
			Callback struct{ Form map[string]string }
		}
		example(t, name, &e)
		want := payments.Heard{Reference: "att_03", ProviderRef: "4815162342", Authentic: true, Signed: true}
		heard, err := p.Hear(exampleConnection, callback(e.Callback.Form))
		require.NoError(t, err, name)
		require.Equal(t, want, heard, name)
		heard, err = p.Hear(exampleConnection, payments.Notice{Method: http.MethodGet, Query: values(e.Callback.Form).Encode()})
		require.NoError(t, err, name)
		require.Equal(t, want, heard, name)
		e.Callback.Form["checksum"] = strings.ToUpper(e.Callback.Form["checksum"])
		heard, err = p.Hear(exampleConnection, callback(e.Callback.Form))
		require.NoError(t, err)
		require.True(t, heard.Authentic, "letter case aside")
		for _, key := range []string{"", "another-key"} {
			c := payments.Connection{Credentials: map[string]string{"shop_key": key}}
			heard, err := p.Hear(c, callback(e.Callback.Form))
			require.NoError(t, err)
			require.False(t, heard.Authentic)
		}
	}
}

func TestABuyerIsHashedOnlyWhereTheTenantSaysSo(t *testing.T) {
	var e struct {
		Form     map[string]string `json:"form_without_checksum"`
		Checksum string            `json:"checksum_with_buyer"`
	}
	example(t, "callback-with-buyer-variant", &e)
	e.Form["checksum"] = e.Checksum
	p := telcell.New(telcell.Config{})
	c := payments.Connection{Credentials: map[string]string{"shop_key": "test-shop-key", "callback": "buyer"}}
	heard, err := p.Hear(c, callback(e.Form))
	require.NoError(t, err)
	require.True(t, heard.Authentic)
	heard, err = p.Hear(exampleConnection, callback(e.Form))
	require.NoError(t, err)
	require.False(t, heard.Authentic, "both are never tried")
}

func good() map[string]string {
	form := map[string]string{"invoice": "4815162342", "issuer_id": "YXR0XzAz", "payment_id": "99001", "currency": "51", "sum": "15000",
		"time": "2026-08-26 17:29:07", "status": "PAID"}
	sign(form)
	return form
}

// sign makes the checksum good again, as if digits had moved between fields or the key were known.
func sign(form map[string]string) {
	form["checksum"] = telcelltest.Sum("test-shop-key", form["invoice"], form["issuer_id"], form["payment_id"], form["currency"], form["sum"],
		form["time"], form["status"])
}

func TestFieldsHaveTheirFormWhateverTheChecksumSays(t *testing.T) {
	p := telcell.New(telcell.Config{})
	for name, c := range map[string]struct{ field, value string }{
		"a currency that took a digit of the payment": {"currency", "151"},
		"no invoice":           {"invoice", ""},
		"a long invoice":       {"invoice", strings.Repeat("1", 21)},
		"a signed invoice":     {"invoice", "-1"},
		"a word for a payment": {"payment_id", "abc"},
		"a sum with a sign":    {"sum", "+15000"},
		"a sum with a comma":   {"sum", "15000,00"},
		"a power of ten":       {"sum", "1e4"},
		"no sum":               {"sum", ""},
		"a time without a day": {"time", "17:29:07"},
		"an impossible time":   {"time", "2026-13-26 17:29:07"},
		"a small status":       {"status", "paid"},
		"a status with digits": {"status", "PAID1"},
		"no order":             {"issuer_id", ""},
		"a person as order":    {"issuer_id", "a@b.c"},
	} {
		form := good()
		form[c.field] = c.value
		sign(form)
		_, err := p.Hear(exampleConnection, callback(form))
		require.ErrorIs(t, err, payments.ErrNotice, name)
	}
	moved := good() // the same text to hash, split elsewhere
	moved["invoice"] = "481516234"
	moved["issuer_id"] = "2YXR0XzAz"
	heard, err := p.Hear(exampleConnection, callback(moved))
	require.NoError(t, err)
	require.True(t, heard.Authentic, "the checksum cannot tell")
	require.NotEqual(t, "att_03", heard.Reference, "but it names an order that nobody stored")
}

func TestNothingComesTwice(t *testing.T) {
	p := telcell.New(telcell.Config{})
	n := callback(good())
	n.Body = append(n.Body, "&sum=1"...)
	_, err := p.Hear(exampleConnection, n)
	require.ErrorIs(t, err, payments.ErrNotice)
	n = callback(good())
	n.Query = "sum=1"
	_, err = p.Hear(exampleConnection, n)
	require.ErrorIs(t, err, payments.ErrNotice)
	n.Query = "source=telcell"
	heard, err := p.Hear(exampleConnection, n)
	require.NoError(t, err)
	require.True(t, heard.Authentic)
	n.Query = "%zz"
	_, err = p.Hear(exampleConnection, n)
	require.ErrorIs(t, err, payments.ErrNotice)
}

func FuzzHear(f *testing.F) {
	form := values(good()).Encode()
	f.Add(form, "")
	f.Add("", form)
	f.Add("invoice=1&invoice=2", "sum=%")
	p := telcell.New(telcell.Config{})
	c := payments.Connection{Credentials: map[string]string{"shop_key": shopKey}}
	f.Fuzz(func(t *testing.T, body, query string) {
		heard, err := p.Hear(c, payments.Notice{Method: http.MethodPost, Body: []byte(body), Query: query})
		if err != nil {
			require.ErrorIs(t, err, payments.ErrNotice)
			return
		}
		require.False(t, heard.Authentic, "nobody guesses a checksum")
		require.False(t, strings.ContainsAny(heard.Reference+heard.ProviderRef, " @/\"<>"))
	})
}
