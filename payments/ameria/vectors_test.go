package ameria_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

// vector is a documented call with its answer.
type vector struct {
	Request struct {
		Path string         `json:"path"`
		Body map[string]any `json:"body"`
	} `json:"request"`
	Response struct {
		Status int             `json:"http_status"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
	Query string `json:"query"`
}

func documented(t *testing.T, name string) (v vector) {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/ameriabank/" + name + ".json")
	if err != nil {
		t.Skip("the documented answers are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, &v), name)
	return v
}

// answering is a connection to a bank that gives this answer.
func (v vector) answering() payments.Connection {
	c := connection("test-pass")
	c.HTTP = providertest.Answer(v.Response.Status, string(v.Response.Body))
	return c
}

func TestDocumentedCallsAreMadeAndUnderstood(t *testing.T) {
	p := ameria.New(ameria.Config{})
	for name, want := range map[string]error{"init-ok": nil, "init-bad-credentials": payments.ErrCredentials, "init-test-amount-rule": payments.ErrRefused} {
		checkout, err := p.Start(t.Context(), documented(t, name).answering(), order(1))
		require.ErrorIs(t, err, want, name)
		if want == nil {
			require.Equal(t, "7f3c2b10-4d5e-4a6b-9c8d-1e2f3a4b5c6d", strings.ToLower(checkout.ProviderRef))
			require.Equal(t, "https://servicestest.ameriabank.am/VPOS/Payments/Pay?id=7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D&lang=am", checkout.URL)
		}
	}
	for name, want := range map[string]error{"getpaymentid-ok": nil, "getpaymentid-bad-credentials": payments.ErrCredentials} {
		require.ErrorIs(t, p.Check(t.Context(), documented(t, name).answering()), want, name)
	}
	o := order(1)
	o.ProviderRef = "7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D"
	for name, want := range map[string]error{"refund-ok": nil, "refund-too-much": payments.ErrRefused} {
		require.ErrorIs(t, p.Refund(t.Context(), documented(t, name).answering(), o, "r", payments.Money{Minor: 400, Currency: "AMD"}), want, name)
	}
}

func TestRequestsHaveTheDocumentedFields(t *testing.T) {
	double, _, p := bank(t)
	c := connection("pass-8c7b6a")
	checkout, err := p.Start(t.Context(), c, order(1))
	require.NoError(t, err)
	o := order(1)
	o.ProviderRef = checkout.ProviderRef
	require.NoError(t, p.Check(t.Context(), c))
	require.ErrorIs(t, p.Refund(t.Context(), c, o, "r", ten), payments.ErrRefused, "nothing was paid")
	requests := slices.DeleteFunc(double.Control.Requests(), func(r standintest.Request) bool { return strings.HasSuffix(r.Path, "GetPaymentDetails") })
	for i, name := range []string{"init-ok", "getpaymentid-ok", "refund-ok"} {
		v := documented(t, name)
		var sent map[string]any
		require.NoError(t, json.Unmarshal([]byte(requests[i].Body), &sent))
		require.Equal(t, v.Request.Path, requests[i].Path)
		require.Equal(t, slices.Sorted(maps.Keys(v.Request.Body)), slices.Sorted(maps.Keys(sent)), name)
		for field, value := range v.Request.Body {
			require.IsType(t, value, sent[field], "%s of %s", field, name)
		}
	}
}

// What a code means for a refund: a doubt is never called a refusal, since the money may have moved.
func TestEveryDocumentedCodeEndsARefundKnownOrUnknown(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/ameriabank/response-codes.json")
	if err != nil {
		t.Skip("the documented codes are not beside this checkout")
	}
	var table struct {
		Own      map[string]struct{ Class string } `json:"own_codes"`
		Prefixed map[string]struct{ ArCa, Class string }
	}
	require.NoError(t, json.Unmarshal(text, &table))
	require.NotEmpty(t, table.Own)
	ends := map[string][]error{"approved": {nil}, "invalid_request": {payments.ErrRefused, payments.ErrUnknown}, "not_found": {payments.ErrRefused},
		"merchant_config": {payments.ErrRefused, payments.ErrUnknown}, "overloaded_read_message": {payments.ErrRefused, payments.ErrCredentials}}
	o := order(1)
	o.ProviderRef = "7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D"
	p := ameria.New(ameria.Config{})
	refund := func(code string) error {
		c := connection("test-pass")
		c.HTTP = providertest.Answer(http.StatusOK, `{"ResponseCode":"`+code+`","ResponseMessage":"x","Opaque":""}`)
		return p.Refund(t.Context(), c, o, "r", payments.Money{Minor: 400, Currency: "AMD"})
	}
	for code, own := range table.Own {
		allowed, known := ends[own.Class]
		if !known { // technical, overloaded, about another operation
			allowed = []error{payments.ErrUnknown}
		}
		err := refund(code)
		require.True(t, slices.ContainsFunc(allowed, func(end error) bool { return errors.Is(err, end) }), "%s (%s): %v", code, own.Class, err)
	}
	for code := range table.Prefixed { // a card's outcome says nothing certain of a refund
		require.ErrorIs(t, refund(code), payments.ErrUnknown, code)
	}
	c := connection("test-pass")
	cancel := documented(t, "cancel-impossible")
	c.HTTP = providertest.Answer(cancel.Response.Status, string(cancel.Response.Body))
	require.ErrorIs(t, p.Refund(t.Context(), c, o, "r", payments.Money{Minor: 400, Currency: "AMD"}), payments.ErrRefused, "07, whatever its message")
}

// The browser's return names no signature, so that whatever it says is no notice.
func TestTheDocumentedReturnsProveNothing(t *testing.T) {
	for _, name := range []string{"backurl-success", "backurl-failure"} {
		v := documented(t, name)
		q, err := url.ParseQuery(v.Query)
		require.NoError(t, err)
		require.NotEmpty(t, q.Get("resposneCode"))
		_, err = ameria.New(ameria.Config{}).Hear(connection("p"), payments.Notice{Method: http.MethodGet, Query: v.Query, Body: []byte(v.Query)})
		require.ErrorIs(t, err, payments.ErrNotice)
	}
}
