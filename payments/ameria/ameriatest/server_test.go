package ameriatest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// merchant speaks to the bank in plain HTTP, as the test host was seen to answer.
type merchant struct {
	*testing.T
	double *Server
	api    *httptest.Server
}

func open(t *testing.T, cfg Config) *merchant {
	m := &merchant{T: t, double: New(cfg)}
	m.api = httptest.NewServer(m.double)
	t.Cleanup(func() {
		m.double.Close()
		m.api.Close()
	})
	return m
}

const login = `"ClientID": "00000000-0000-0000-0000-000000000000", "Username": "test-user", "Password": "test-pass"`

// post sends a body with good credentials and returns the status and the answer, numbers as they came.
func (m *merchant) post(operation, fields string) (int, map[string]any) {
	return m.raw("/VPOS/api/VPOS/"+operation, "{"+login+", "+fields+"}")
}

func (m *merchant) raw(path, body string) (int, map[string]any) {
	m.Helper()
	r, err := http.Post(m.api.URL+path, "application/json", strings.NewReader(body))
	require.NoError(m, err)
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	require.NoError(m, err)
	var out map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	require.NoError(m, d.Decode(&out), string(text))
	return r.StatusCode, out
}

// init registers an order and returns its PaymentID.
func (m *merchant) init(order, amount, description string) string {
	m.Helper()
	status, got := m.post("InitPayment", `"OrderID": `+order+`, "Amount": `+amount+`, "Description": "`+description+`", "BackURL": "https://pay.example/back", "Opaque": "att_1"`)
	require.Equal(m, []any{200, json.Number("1"), "OK"}, []any{status, got["ResponseCode"], got["ResponseMessage"]}, "success is the integer 1")
	return got["PaymentID"].(string)
}

// pays does what a customer does on the bank's page.
func (m *merchant) pays(id, outcome string) {
	m.Helper()
	status, got := m.raw("/_control/pay", `{"url": "https://`+Host+`/VPOS/Payments/Pay?id=`+id+`", "outcome": "`+outcome+`"}`)
	require.Equal(m, 200, status, got)
}

func TestAnOrderIsRefusedAsTheTestHostRefuses(t *testing.T) {
	m := open(t, Config{})
	order := func(id, amount string) string {
		return `"OrderID": ` + id + `, "Amount": ` + amount + `, "Description": "D", "BackURL": "https://pay.example/back"`
	}
	for name, c := range map[string]struct {
		body string
		code string
	}{
		"below the range":         {"{" + login + ", " + order("2350300", "10") + "}", "30"},
		"above the range":         {"{" + login + ", " + order("2350401", "10") + "}", "30"},
		"not 10 dram":             {"{" + login + ", " + order("2350301", "11") + "}", "560"},
		"nothing":                 {"{" + login + ", " + order("2350301", `"0"`) + "}", "50"},
		"without an address":      {"{" + login + `, "OrderID": 2350301, "Amount": 10, "Description": "D"}`, "4"},
		"another password":        {`{"ClientID": "00000000-0000-0000-0000-000000000000", "Username": "test-user", "Password": "x", ` + order("2350301", "10") + "}", "20"},
		"another merchant's name": {`{"ClientID": "11111111-0000-0000-0000-000000000000", "Username": "test-user", "Password": "test-pass", ` + order("2350301", "10") + "}", "20"},
	} {
		status, got := m.raw("/VPOS/api/VPOS/InitPayment", c.body)
		require.Equal(t, []any{200, "", json.Number(c.code)}, []any{status, got["PaymentID"], got["ResponseCode"]}, "%s: HTTP says nothing, the id is empty text", name)
	}
	status, got := m.raw("/VPOS/api/VPOS/InitPayment", "{")
	require.Equal(t, []any{500, "An error has occurred."}, []any{status, got["Message"]})
	require.Empty(t, m.double.Books())
	require.Len(t, open(t, Config{AnyAmount: true}).init("2350301", "1500.5", "D"), 36)
}

func TestTheSameOrderIDTakesTheNewerBody(t *testing.T) {
	m := open(t, Config{AnyAmount: true})
	first := m.init("2350301", "10", "first")
	require.Equal(t, first, m.init("2350301", "2500", "second"), "the same PaymentID")
	books := m.double.Books()
	require.Len(t, books, 1)
	require.EqualValues(t, 250_000, books[0].Amount, "and another amount")
	require.NotEqual(t, first, m.init("2350302", "10", "D"))

	status, got := m.post("GetPaymentId", `"OrderID": 2350301`)
	require.Equal(t, []any{200, strings.ToLower(first), "", "00"}, []any{status, got["PaymentId"], got["ResponseMessage"], got["ResponseCode"]},
		"another spelling of the key, lower case, and text for a code")
	_, got = m.post("GetPaymentId", `"OrderID": 2350399`)
	require.Equal(t, []any{"", "06"}, []any{got["PaymentId"], got["ResponseCode"]})
}

func TestDetailsSpeakAsTheTestHostSpeaks(t *testing.T) {
	m := open(t, Config{AnyAmount: true})
	id := m.init("2350301", "10", "Կանխավճար 7")
	status, got := m.post("GetPaymentDetails", `"PaymentID": "`+id+`"`)
	require.Equal(t, []any{500, map[string]any{"Message": "An error has occurred."}}, []any{status, got}, "nobody opened its page")
	for name, body := range map[string]string{
		"a wrong password":       `{"PaymentID": "` + id + `", "Username": "test-user", "Password": "x"}`,
		"a payment nobody knows": "{" + login + `, "PaymentID": "00000000-0000-0000-0000-000000000000"}`,
		"an order's number":      "{" + login + `, "PaymentID": "2350301"}`,
	} {
		status, got = m.raw("/VPOS/api/VPOS/GetPaymentDetails", body)
		require.Equal(t, []any{200, "550", ""}, []any{status, got["ResponseCode"], got["OrderStatus"]}, name)
		for key, value := range got {
			require.NotNil(t, value, key)
		}
	}
	m.pays(id, "paid")
	for _, spelt := range []string{id, strings.ToLower(id)} {
		_, got = m.post("GetPaymentDetails", `"PaymentID": "`+spelt+`"`)
		require.Equal(t, []any{"00", "2350301", "2", json.Number("5"), "051"}, []any{got["ResponseCode"], got["OrderID"], got["OrderStatus"], got["PaymentType"], got["Currency"]},
			"numbers as text, but for the type")
		require.Equal(t, strings.Repeat("\u00BF", 9)+" 7", got["TrxnDescription"], "Armenian letters are lost on the way")
	}
}

func TestMoneyGoesBackByAmountsAndInTime(t *testing.T) {
	m := open(t, Config{AnyAmount: true})
	id := m.init("2350301", "10", "D")
	m.pays(id, "paid")
	details := func() []any {
		_, got := m.post("GetPaymentDetails", `"PaymentID": "`+id+`"`)
		return []any{got["OrderStatus"], got["DepositedAmount"], got["RefundedAmount"]}
	}
	_, got := m.post("RefundPayment", `"PaymentID": "`+id+`", "Amount": 4`)
	require.Equal(t, []any{"00", "att_1"}, []any{got["ResponseCode"], got["Opaque"]})
	require.Equal(t, []any{"4", json.Number("6.0"), json.Number("4.0")}, details(), "4 says refunded of a part, too")
	_, got = m.post("RefundPayment", `"PaymentID": "`+id+`", "Amount": 7`)
	require.Equal(t, []any{"07", "Refund amount exceeds deposited amount"}, []any{got["ResponseCode"], got["ResponseMessage"]})
	require.Equal(t, json.Number("4.0"), details()[2])

	other := m.init("2350302", "10", "D")
	m.pays(other, "paid")
	m.double.Control.Clock.Advance(73 * time.Hour)
	_, got = m.post("CancelPayment", `"PaymentID": "`+other+`"`)
	require.Equal(t, "07", got["ResponseCode"], "too late to cancel")
	_, got = m.post("CancelPayment", `"PaymentID": "00000000-0000-0000-0000-000000000000"`)
	require.Equal(t, "550", got["ResponseCode"])
}
