package ameria_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/ameria"
	"github.com/dealpay/dealpay/payments/ameria/ameriatest"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
)

func connection(password string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: ameria.Key, HTTP: &http.Client{Timeout: 5 * time.Second}, Credentials: map[string]string{
		"client_id": "00000000-0000-0000-0000-000000000000", "username": "test-user", "password": password,
		"order_min": "2350301", "order_max": "2350400", "merchant_id": "00000000"}}
}

var ten = payments.Money{Minor: 1000, Currency: "AMD"}

func order(n int) payments.Order {
	return payments.Order{Attempt: fmt.Sprintf("att_%02d", n), Reference: fmt.Sprintf("DP-%d-1", n), Number: 2350300 + int64(n), Amount: ten,
		Description: "Կանխավճար 7", ReturnURL: "https://pay.example/p/token/back?a=1", Language: "hy"}
}

// bank is a double with a provider connected to it.
func bank(t *testing.T) (*ameriatest.Server, *httptest.Server, *ameria.Provider) {
	t.Helper()
	double := ameriatest.New(ameriatest.Config{Password: "pass-8c7b6a"})
	t.Cleanup(double.Close)
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, ameria.New(ameria.Config{TestURL: server.URL + "/VPOS/"})
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		_, server, provider := bank(t)
		n := 0
		return providertest.Fixture{Provider: provider, Connection: connection("pass-8c7b6a"), Bad: connection("wrong-pass"), Control: server.URL,
			Order:      func() payments.Order { n++; return order(n) },
			Private:    []string{"pass-8c7b6a", "wrong-pass", "payer@example.com", "192.0.2.10", "TEST CARD", "000000**0000", `"203001"`},
			RefundPath: "CancelPayment"}
	})
}

// TestAWholePaymentIsCancelledOnItsDay tells what the bank was asked to do, by what it lets this merchant do and by when.
func TestAWholePaymentIsCancelledOnItsDay(t *testing.T) {
	const cancel, refund = "CancelPayment", "RefundPayment"
	part := payments.Money{Minor: 400, Currency: "AMD"}
	for name, c := range map[string]struct {
		bank     ameriatest.Config
		later    time.Duration
		amount   payments.Money
		asked    []string
		want     error
		refunded int64
		status   state.AttemptStatus
	}{
		"on its day":                            {amount: ten, asked: []string{cancel}, refunded: 1000, status: state.AttemptCancelled},
		"a part of it":                          {amount: part, asked: []string{refund}, refunded: 400, status: state.AttemptPaid},
		"the day after":                         {later: 24 * time.Hour, amount: ten, asked: []string{refund}, refunded: 1000, status: state.AttemptPaid},
		"without the right to cancel":           {bank: ameriatest.Config{NoReversals: true}, amount: ten, asked: []string{cancel, refund}, refunded: 1000, status: state.AttemptPaid},
		"without the right to refund":           {bank: ameriatest.Config{NoRefunds: true}, amount: ten, asked: []string{cancel}, refunded: 1000, status: state.AttemptCancelled},
		"without it, the day after":             {bank: ameriatest.Config{NoRefunds: true}, later: 24 * time.Hour, amount: ten, asked: []string{refund, cancel}, refunded: 1000, status: state.AttemptCancelled},
		"without it, a part":                    {bank: ameriatest.Config{NoRefunds: true}, amount: part, asked: []string{refund}, want: payments.ErrNoRefunds, status: state.AttemptPaid},
		"without it, after 72 hours":            {bank: ameriatest.Config{NoRefunds: true}, later: 73 * time.Hour, amount: ten, asked: []string{refund, cancel}, want: payments.ErrNoRefunds, status: state.AttemptPaid},
		"without any right":                     {bank: ameriatest.Config{NoRefunds: true, NoReversals: true}, amount: ten, asked: []string{cancel, refund}, want: payments.ErrNoRefunds, status: state.AttemptPaid},
		"without any right, the day after that": {bank: ameriatest.Config{NoRefunds: true, NoReversals: true}, later: 24 * time.Hour, amount: ten, asked: []string{refund, cancel}, want: payments.ErrNoReversals, status: state.AttemptPaid},
	} {
		t.Run(name, func(t *testing.T) {
			c.bank.Password = "p"
			double := ameriatest.New(c.bank)
			server := httptest.NewServer(double)
			t.Cleanup(server.Close)
			p := ameria.New(ameria.Config{TestURL: server.URL + "/VPOS/", Now: double.Control.Clock.Now})
			o := order(1)
			checkout, err := p.Start(t.Context(), connection("p"), o)
			require.NoError(t, err)
			o.ProviderRef = checkout.ProviderRef
			post(t, server.URL+"/_control/pay", `{"url":"`+checkout.URL+`"}`)
			double.Control.Clock.Advance(c.later)
			require.ErrorIs(t, p.Refund(t.Context(), connection("p"), o, "r", c.amount), c.want)
			var asked []string
			for _, r := range double.Control.Requests() {
				if operation := r.Path[strings.LastIndex(r.Path, "/")+1:]; operation == cancel || operation == refund {
					asked = append(asked, operation)
				}
			}
			require.Equal(t, c.asked, asked)
			seen, err := p.Look(t.Context(), connection("p"), o)
			require.NoError(t, err)
			require.Equal(t, [2]any{c.status, c.refunded}, [2]any{seen.Status, seen.Refunded.Minor})
		})
	}
}

// TestACancellationThatIsUnclearIsNotFollowedByARefund lets the bank refuse a cancellation after it had been made.
func TestACancellationThatIsUnclearIsNotFollowedByARefund(t *testing.T) {
	double, server, p := bank(t)
	c, o := connection("pass-8c7b6a"), order(1)
	checkout, err := p.Start(t.Context(), c, o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	post(t, server.URL+"/_control/pay", `{"url":"`+checkout.URL+`"}`)
	c.HTTP = &http.Client{Transport: twice{}} // the bank does it at once, and refuses the repetition
	require.ErrorIs(t, p.Refund(t.Context(), c, o, "r", ten), payments.ErrUnknown)
	require.EqualValues(t, 1000, double.Books()[0].Refunded)
	for _, r := range double.Control.Requests() {
		require.NotContains(t, r.Path, "RefundPayment")
	}
}

// twice sends every cancellation two times and passes on the second answer.
type twice struct{}

func (twice) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "CancelPayment") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		first := r.Clone(r.Context())
		first.Body = io.NopCloser(strings.NewReader(string(body)))
		res, err := http.DefaultTransport.RoundTrip(first)
		if err != nil {
			return nil, err
		}
		res.Body.Close()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func post(t *testing.T, address, body string) {
	t.Helper()
	res, err := http.Post(address, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestAPaymentStartsAsDocumented(t *testing.T) {
	double, server, p := bank(t)
	before := time.Now()
	o := order(1)
	o.Deadline = before.Add(5 * time.Minute)
	checkout, err := p.Start(t.Context(), connection("pass-8c7b6a"), o)
	require.NoError(t, err)
	require.Equal(t, server.URL+"/VPOS/Payments/Pay?id="+checkout.ProviderRef+"&lang=am", checkout.URL)
	require.Equal(t, strings.ToUpper(checkout.ProviderRef), checkout.ProviderRef)
	require.WithinDuration(t, o.Deadline, checkout.Deadline, 2*time.Second, "the bank's page ends with the link")
	var sent map[string]any
	require.NoError(t, json.Unmarshal([]byte(double.Control.Requests()[0].Body), &sent))
	require.Equal(t, "10.00", sent["Amount"], "decimal text, never a float")
	require.EqualValues(t, 2350301, sent["OrderID"])
	require.Equal(t, "051", sent["Currency"])
	require.Equal(t, "att_01", sent["Opaque"])
	require.LessOrEqual(t, sent["Timeout"], float64(300))
	for _, amount := range []payments.Money{{}, {Minor: 1000, Currency: "GEL"}, {Minor: -1, Currency: "AMD"}} {
		o.Amount = amount
		_, err := p.Start(t.Context(), connection("pass-8c7b6a"), o)
		require.ErrorIs(t, err, payments.ErrRefused)
	}
	o = order(2)
	o.Amount.Minor = 1100
	_, err = p.Start(t.Context(), connection("pass-8c7b6a"), o)
	require.ErrorIs(t, err, payments.ErrRefused, "560, the test host's rule of 10 AMD")
}

func TestOrderNumbersComeFromTheRangeOnly(t *testing.T) {
	sent := func(cfg ameria.Config, c payments.Connection, number int64) (string, error) {
		double := ameriatest.New(ameriatest.Config{Password: "p", OrderMin: 1, OrderMax: 1 << 40})
		server := httptest.NewServer(double)
		defer server.Close()
		cfg.TestURL, cfg.LiveURL = server.URL+"/VPOS/", server.URL+"/VPOS/"
		o := order(1)
		o.Number = number
		if _, err := ameria.New(cfg).Start(t.Context(), c, o); err != nil {
			return "", err
		}
		return double.Books()[0].Order, nil
	}
	ranged, live, free := connection("p"), connection("p"), connection("p")
	live.Credentials["mode"] = "live"
	delete(free.Credentials, "order_min")
	delete(free.Credentials, "order_max")
	for _, c := range []struct {
		cfg    ameria.Config
		conn   payments.Connection
		number int64
		want   string // empty: refused
	}{
		{ameria.Config{}, ranged, 2350301, "2350301"},
		{ameria.Config{}, ranged, 2350400, "2350400"},
		{ameria.Config{}, ranged, 2350401, ""},
		{ameria.Config{}, ranged, 1, ""},
		{ameria.Config{Offset: 2350300}, ranged, 7, ""},
		{ameria.Config{Offset: 7}, ranged, 2350301, "2350301"},
		{ameria.Config{Wrap: true}, ranged, 2350401, ""},
		{ameria.Config{}, ranged, 0, ""},
		{ameria.Config{}, live, 2350401, ""},
		{ameria.Config{}, live, 2350400, "2350400"},
		{ameria.Config{Offset: 2350300}, free, 5, "2350305"},
		{ameria.Config{}, free, 5, "5"},
		{ameria.Config{}, free, 0, ""},
		{ameria.Config{Offset: -9}, free, 5, ""},
	} {
		got, err := sent(c.cfg, c.conn, c.number)
		require.Equal(t, c.want, got, "%+v %d", c.cfg, c.number)
		if c.want == "" {
			require.ErrorIs(t, err, payments.ErrRefused)
			require.ErrorIs(t, err, ameria.ErrRange)
		}
	}
	for _, c := range []struct {
		cfg  ameria.Config
		conn payments.Connection
		want payments.Range
	}{
		{ameria.Config{}, ranged, payments.Range{First: 2350301, Last: 2350400}},
		{ameria.Config{Wrap: true}, ranged, payments.Range{First: 2350301, Last: 2350400, Again: true}},
		{ameria.Config{Wrap: true}, live, payments.Range{First: 2350301, Last: 2350400}},
	} {
		got, ok := ameria.New(c.cfg).Range(c.conn)
		require.True(t, ok)
		require.Contains(t, got.Merchant, c.conn.Credentials["client_id"])
		got.Merchant = ""
		require.Equal(t, c.want, got)
	}
	tested, _ := ameria.New(ameria.Config{}).Range(ranged)
	real, _ := ameria.New(ameria.Config{}).Range(live)
	require.NotEqual(t, tested.Merchant, real.Merchant)
	_, ok := ameria.New(ameria.Config{}).Range(free)
	require.False(t, ok)
	for _, bad := range []string{"", "x", "0", "9999999"} {
		ranged.Credentials["order_min"] = bad
		_, err := ameria.New(ameria.Config{}).Start(t.Context(), ranged, order(1))
		require.ErrorIs(t, err, payments.ErrCredentials)
		require.ErrorIs(t, ameria.New(ameria.Config{}).Check(t.Context(), ranged), payments.ErrCredentials)
	}
}

// scripted answers each operation with one body.
type scripted map[string]struct {
	status int
	body   string
}

func (s scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, ok := s[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
	if !ok {
		answer.status, answer.body = 200, `{"PaymentId":"","ResponseCode":"06"}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body)
}

func script(t *testing.T, operation string, status int, body string) *ameria.Provider {
	t.Helper()
	server := httptest.NewServer(scripted{operation: {status, body}})
	t.Cleanup(server.Close)
	return ameria.New(ameria.Config{TestURL: server.URL + "/VPOS/"})
}

func TestEveryDocumentedAnswerIsUnderstood(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/fixtures/acquirers/ameriabank/details-*.json")
	if len(files) == 0 {
		t.Skip("the documented answers are not beside this checkout")
	}
	want := map[string]state.AttemptStatus{"pending": state.Pending, "authorized": state.Authorized, "paid": state.AttemptPaid, "failed": state.AttemptFailed,
		"cancelled": state.AttemptCancelled, "partially_refunded": state.AttemptPaid, "refunded": state.AttemptPaid, "created": state.Pending}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var c struct {
			Response struct {
				Status int             `json:"http_status"`
				Body   json.RawMessage `json:"body"`
			} `json:"response"`
			Expect struct {
				State    *string `json:"state"`
				Refunded *int64  `json:"refunded_minor"`
			} `json:"expect"`
		}
		require.NoError(t, json.Unmarshal(text, &c), file)
		p := script(t, "GetPaymentDetails", c.Response.Status, string(c.Response.Body))
		o := order(1)
		o.ProviderRef = "7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D"
		seen, err := p.Look(t.Context(), connection("p"), o)
		if c.Expect.State == nil {
			require.ErrorIs(t, err, payments.ErrNothingNew, file)
			require.Empty(t, seen.Status)
			continue
		}
		require.NoError(t, err, file)
		require.Equal(t, want[*c.Expect.State], seen.Status, file)
		require.False(t, seen.Foreign, file)
		for _, private := range []string{"TEST CARD", "000000**", "203001", "192.0.2.10", "Deal 501"} {
			require.NotContains(t, string(seen.Raw), private)
		}
		if seen.Status == state.AttemptPaid {
			require.Equal(t, ten, seen.Captured, file)
			require.False(t, seen.PaidAt.IsZero())
		}
		if c.Expect.Refunded != nil {
			require.Equal(t, *c.Expect.Refunded, seen.Refunded.Minor, file)
		}
	}
}

func TestOnlyAPaymentInAuthenticationIsBusy(t *testing.T) {
	for status := range 7 {
		p := script(t, "GetPaymentDetails", http.StatusOK, fmt.Sprintf(`{"ResponseCode":"00","OrderStatus":"%d","OrderID":"1","ApprovedAmount":10,"Currency":"051"}`, status))
		o := order(1)
		o.ProviderRef = "7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D"
		seen, err := p.Look(t.Context(), connection("p"), o)
		require.NoError(t, err, status)
		require.Equal(t, status == 5, seen.Busy, status)
	}
}

// A whole amount stands in each answer, so that nothing but the status keeps a hold and an authentication from being money.
func TestAStatusIsMoneyOnlyWhenItWasTaken(t *testing.T) {
	for answer, want := range map[string]struct {
		status   state.AttemptStatus // empty: nothing new
		refunded int64
	}{
		`"ResponseCode":"00","OrderStatus":"0"`:                            {status: state.Pending},
		`"ResponseCode":"00","OrderStatus":"1"`:                            {status: state.Authorized},
		`"ResponseCode":"00","OrderStatus":"2"`:                            {status: state.AttemptPaid},
		`"ResponseCode":"00","OrderStatus":"3"`:                            {status: state.AttemptCancelled, refunded: 1000},
		`"ResponseCode":"00","OrderStatus":"4","RefundedAmount":4.0`:       {status: state.AttemptPaid, refunded: 400},
		`"ResponseCode":"00","OrderStatus":"5"`:                            {status: state.Pending},
		`"ResponseCode":"00","OrderStatus":5`:                              {status: state.Pending},
		`"ResponseCode":"0-9000","ActionCode":"-9000","OrderStatus":"5"`:   {status: state.Pending},
		`"ResponseCode":"0116","ActionCode":"116","OrderStatus":"6"`:       {status: state.AttemptFailed},
		`"ResponseCode":"0-2013","ActionCode":"-2013","OrderStatus":"6"`:   {status: state.AttemptFailed},
		`"ResponseCode":"0151018","ActionCode":"151018","OrderStatus":"6"`: {status: state.AttemptFailed},
		`"ResponseCode":"0-2007","ActionCode":"-2007","OrderStatus":"6"`:   {status: state.AttemptExpired},
		`"ResponseCode":"0151019","ActionCode":"151019","OrderStatus":"6"`: {},
		`"ResponseCode":"550","OrderStatus":""`:                            {},
		`"ResponseCode":"500","OrderStatus":""`:                            {},
	} {
		body := `{"OrderID":"2350301","Opaque":"att_01","MerchantId":"00000000","Currency":"051","ApprovedAmount":10.0,"DepositedAmount":10.0,` + answer + `}`
		if strings.Contains(answer, "RefundedAmount") {
			body = strings.Replace(body, `"DepositedAmount":10.0`, `"DepositedAmount":6.0`, 1)
		}
		o := order(1)
		o.ProviderRef = "7F3C2B10-4D5E-4A6B-9C8D-1E2F3A4B5C6D"
		seen, err := script(t, "GetPaymentDetails", http.StatusOK, body).Look(t.Context(), connection("p"), o)
		providertest.Sane(t, seen, err)
		if want.status == "" {
			require.ErrorIs(t, err, payments.ErrNothingNew, answer)
			continue
		}
		require.NoError(t, err, answer)
		require.Equal(t, want.status, seen.Status, answer)
		require.Equal(t, want.refunded, seen.Refunded.Minor, answer)
		require.False(t, seen.Foreign, answer)
	}
}

func TestStrangeDetailsProveNothing(t *testing.T) {
	o := order(1)
	o.ProviderRef = "A"
	for body, want := range map[string]error{
		`{"ResponseCode":"00","OrderStatus":"7"}`:                                                               payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":""}`:                                                                payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":"two"}`:                                                             payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":"2","Currency":"051","OrderID":"2350301"}`:                          payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":"2","Currency":"051","ApprovedAmount":-10}`:                         payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":"2","Currency":"051","ApprovedAmount":1e3}`:                         payments.ErrNothingNew,
		`{"ResponseCode":"00","OrderStatus":"4","Currency":"051","ApprovedAmount":10.0,"RefundedAmount":10.01}`: payments.ErrNothingNew,
		`{"ResponseCode":"0151019","OrderStatus":"6","Currency":"051","OrderID":"2350301"}`:                     payments.ErrNothingNew,
		`{"ResponseCode":"550"}`: payments.ErrNothingNew,
		`<html>`:                 payments.ErrUnavailable,
		`null`:                   payments.ErrUnavailable,
	} {
		seen, err := script(t, "GetPaymentDetails", 200, body).Look(t.Context(), connection("p"), o)
		require.ErrorIs(t, err, want, body)
		require.Empty(t, seen.Status)
	}
	for body, want := range map[string]payments.Observation{
		`{"OrderStatus":2,"Currency":"840","ApprovedAmount":10.5,"OrderID":2350301,"MerchantId":"00000000"}`:                   {Captured: payments.Money{Minor: 1050, Currency: "USD"}},
		`{"OrderStatus":2,"Currency":"999","ApprovedAmount":10,"OrderID":2350301,"MerchantId":"00000000"}`:                     {Captured: payments.Money{Minor: 1000, Currency: "999"}},
		`{"OrderStatus":2,"Currency":"51","ApprovedAmount":10,"OrderID":2350301,"MerchantId":"1"}`:                             {Captured: ten, Foreign: true},
		`{"OrderStatus":2,"Currency":"051","ApprovedAmount":10,"OrderID":2350302,"MerchantId":"00000000"}`:                     {Captured: ten, Foreign: true},
		`{"OrderStatus":2,"Currency":"051","ApprovedAmount":10,"OrderID":2350301,"MerchantId":"00000000","Opaque":"att_02"}`:   {Captured: ten, Foreign: true},
		`{"OrderStatus":2,"Currency":"051","ApprovedAmount":10,"DepositedAmount":4,"OrderID":2350301,"MerchantId":"00000000"}`: {Captured: payments.Money{Minor: 400, Currency: "AMD"}},
	} {
		seen, err := script(t, "GetPaymentDetails", 200, body).Look(t.Context(), connection("p"), o)
		require.NoError(t, err, body)
		require.Equal(t, state.AttemptPaid, seen.Status)
		require.Equal(t, want.Captured, seen.Captured, body)
		require.Equal(t, want.Foreign, seen.Foreign, body)
	}
}

func TestStartAndRefundCodes(t *testing.T) {
	for body, want := range map[string]error{
		`{"PaymentID":"A","ResponseCode":1}`:   nil,
		`{"PaymentID":"A","ResponseCode":"1"}`: nil,
		`{"PaymentID":"","ResponseCode":1}`:    payments.ErrUnavailable,
		`{"PaymentID":"","ResponseCode":20}`:   payments.ErrCredentials,
		`{"PaymentID":"","ResponseCode":560}`:  payments.ErrRefused,
		`{"PaymentID":"","ResponseCode":520}`:  payments.ErrUnavailable,
		`{"PaymentID":"","ResponseCode":"01"}`: payments.ErrStarted,
		`{"PaymentID":"a@b","ResponseCode":1}`: payments.ErrUnavailable,
		`[]`:                                   payments.ErrUnavailable,
	} {
		_, err := script(t, "InitPayment", 200, body).Start(t.Context(), connection("p"), order(1))
		require.ErrorIs(t, err, want, body)
	}
	o := order(1)
	o.ProviderRef = "A"
	for code, want := range map[string]error{"00": nil, "07": payments.ErrRefused, "513": payments.ErrRefused, "20": payments.ErrCredentials,
		"514": payments.ErrRefused, "550": payments.ErrUnknown, "520": payments.ErrUnknown, "": payments.ErrUnknown} {
		err := script(t, "RefundPayment", 200, `{"ResponseCode":"`+code+`"}`).Refund(t.Context(), connection("p"), o, "r", ten)
		require.ErrorIs(t, err, want, code)
	}
	err := script(t, "RefundPayment", 500, `{"Message":"An error has occurred."}`).Refund(t.Context(), connection("p"), o, "r", ten)
	require.ErrorIs(t, err, payments.ErrUnknown)
	_, err = script(t, "", 0, "").Hear(connection("p"), payments.Notice{})
	require.ErrorIs(t, err, payments.ErrNotice)
}

func TestALostStartIsFoundByItsNumber(t *testing.T) {
	double, server, p := bank(t)
	c := connection("pass-8c7b6a")
	checkout, err := p.Start(t.Context(), c, order(1))
	require.NoError(t, err)
	post(t, server.URL+"/_control/pay", `{"url":"`+checkout.URL+`"}`)
	seen, err := p.Look(t.Context(), c, order(1))
	require.NoError(t, err)
	require.Equal(t, checkout.ProviderRef, seen.ProviderRef)
	require.Equal(t, ten, seen.Captured)
	_, err = p.Look(t.Context(), c, order(2))
	require.ErrorIs(t, err, payments.ErrNothingNew)
	require.Len(t, double.Books(), 1)
}

func TestAVoidIsARefundOfWhatWasTaken(t *testing.T) {
	_, server, p := bank(t)
	c := connection("pass-8c7b6a")
	o := order(1)
	checkout, err := p.Start(t.Context(), c, o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	post(t, server.URL+"/_control/pay", `{"url":"`+checkout.URL+`"}`)
	post(t, server.URL+"/VPOS/api/VPOS/CancelPayment", `{"PaymentID":"`+o.ProviderRef+`","Username":"test-user","Password":"pass-8c7b6a"}`)
	seen, err := p.Look(t.Context(), c, o)
	require.NoError(t, err)
	require.Equal(t, state.AttemptCancelled, seen.Status)
	require.Equal(t, ten, seen.Refunded)
}

func TestTheBrowserReturnsAsTheBankSpellsIt(t *testing.T) {
	_, server, p := bank(t)
	checkout, err := p.Start(t.Context(), connection("pass-8c7b6a"), order(1))
	require.NoError(t, err)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Get(checkout.URL)
	require.NoError(t, err)
	page, _ := io.ReadAll(res.Body)
	res.Body.Close()
	require.Contains(t, string(page), "Վճարել 10.00 AMD")
	for button, code := range map[string]string{"decline": "0999", "pay": "00"} {
		o := order(map[string]int{"decline": 2, "pay": 3}[button])
		checkout, err := p.Start(t.Context(), connection("pass-8c7b6a"), o)
		require.NoError(t, err)
		res, err := browser.PostForm(checkout.URL, url.Values{"do": {button}})
		require.NoError(t, err)
		res.Body.Close()
		back, err := url.Parse(res.Header.Get("Location"))
		require.NoError(t, err)
		q := back.Query()
		require.Equal(t, "1", q.Get("a"))
		require.Equal(t, code, q.Get("resposneCode"))
		require.Equal(t, o.Attempt, q.Get("opaque"))
		require.Equal(t, strings.ToLower(checkout.ProviderRef), q.Get("paymentID"))
	}
	require.True(t, strings.HasPrefix(checkout.URL, server.URL))
}
