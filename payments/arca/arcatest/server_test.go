package arcatest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a merchant of the double.
type shop struct {
	*testing.T
	double *Server
	api    *httptest.Server
}

func open(t *testing.T, cfg Config) *shop {
	s := &shop{T: t, double: New(cfg)}
	s.api = httptest.NewServer(s.double)
	t.Cleanup(func() {
		s.double.Close()
		s.api.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	now := time.Now().UTC()
	s.double.Control.Clock.Advance(time.Date(now.Year(), now.Month(), now.Day(), 8, 0, 0, 0, time.UTC).Sub(now)) // noon in Yerevan
	return s
}

// call posts an operation with a good login and these fields, "name=value".
func (s *shop) call(operation string, fields ...string) map[string]any {
	s.Helper()
	form := url.Values{"userName": {"shop_api"}, "password": {"test-pass"}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		form.Set(name, value)
	}
	res, err := http.PostForm(s.api.URL+"/payment/rest/"+operation, form)
	require.NoError(s, err)
	defer res.Body.Close()
	require.Equal(s, http.StatusOK, res.StatusCode, "errors are told in the body")
	var out map[string]any
	require.NoError(s, json.NewDecoder(res.Body).Decode(&out))
	return out
}

// register opens an order and returns its id.
func (s *shop) register(fields ...string) string {
	s.Helper()
	out := s.call("register.do", append([]string{"orderNumber=o-1", "amount=1500", "currency=051", "returnUrl=https://shop.example/?a=1"}, fields...)...)
	require.EqualValues(s, 0, out["errorCode"], out)
	return out["orderId"].(string)
}

func (s *shop) press(id, button string) *http.Response {
	s.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.PostForm(s.api.URL+"/payment/merchants/shop/payment_en.html?mdOrder="+id, url.Values{"do": {button}})
	require.NoError(s, err)
	res.Body.Close()
	return res
}

func TestARegistrationIsRefusedAsDocumented(t *testing.T) {
	s := open(t, Config{})
	s.register()
	for fields, code := range map[string]int{
		"orderNumber=o-1": 1, "currency=999": 3, "orderNumber=": 4, "amount=": 4, "returnUrl=": 4, "amount=15.00": 5, "amount=0": 5,
		"amount=-1": 5, "sessionTimeoutSecs=1201": 5, "sessionTimeoutSecs=0": 5, "description=50%": 5, "language=hye": 5, "password=wrong": 5,
		"orderNumber=" + "123456789012345678901234567890123": 5,
	} {
		out := s.call("register.do", "orderNumber=o-2", "amount=1500", "currency=051", "returnUrl=https://shop.example/", fields)
		require.EqualValues(t, code, out["errorCode"], fields)
		require.NotContains(t, out, "formUrl")
	}
	res, err := http.Post(s.api.URL+"/payment/rest/register.do?userName=shop_api&password=test-pass", "application/x-www-form-urlencoded", nil)
	require.NoError(t, err)
	res.Body.Close()
	require.Len(t, s.double.Books(), 1, "a login in the address opens nothing")
	s.call("register.do", "orderNumber=o-3", "amount=1500", "returnUrl=https://shop.example/")
	require.Equal(t, "RUB", s.double.Books()[1].Currency, "what is left out is roubles")
}

func TestErrorCodesComeInEveryStyle(t *testing.T) {
	for style, want := range map[Style][2]any{Number: {0.0, 6.0}, Text: {"0", "6"}, Absent: {nil, "6"}} {
		s := open(t, Config{Codes: style})
		good := s.call("register.do", "orderNumber=o-1", "amount=1500", "returnUrl=https://shop.example/")
		require.Equal(t, want[0], good["errorCode"], style)
		require.Equal(t, want[1], s.call("getOrderStatusExtended.do", "orderId=none")["errorCode"], style)
	}
}

func TestAReversalHasOneTryAndOneDay(t *testing.T) {
	s := open(t, Config{})
	id := s.register()
	require.EqualValues(t, 7, s.call("reverse.do", "orderId="+id)["errorCode"], "not paid")
	require.Equal(t, "https://shop.example/?a=1&orderId="+id, s.press(id, "pay").Header.Get("Location"))
	require.EqualValues(t, 7, s.call("reverse.do", "orderId="+id)["errorCode"], "the try is spent")
	require.EqualValues(t, 7, s.call("refund.do", "orderId="+id, "amount=1501")["errorCode"], "too much")
	require.EqualValues(t, 5, s.call("refund.do", "orderId="+id, "amount=1.5")["errorCode"])
	require.EqualValues(t, 0, s.call("refund.do", "orderId="+id, "amount=500")["errorCode"])
	out := s.call("getOrderStatusExtended.do", "orderId="+id)
	require.EqualValues(t, 4, out["orderStatus"], "a refund of a part too")
	require.EqualValues(t, 500, out["paymentAmountInfo"].(map[string]any)["refundedAmount"])

	id = s.register("orderNumber=o-2")
	s.press(id, "pay")
	s.double.Control.Clock.Advance(12 * time.Hour)
	require.EqualValues(t, 7, s.call("reverse.do", "orderId="+id)["errorCode"], "another day")
	id = s.register("orderNumber=o-3")
	s.press(id, "pay")
	require.EqualValues(t, 0, s.call("reverse.do", "orderId="+id)["errorCode"])
	require.EqualValues(t, 3, s.call("getOrderStatusExtended.do", "orderId="+id)["orderStatus"])
	require.EqualValues(t, 3, s.call("getOrderStatus.do", "orderId="+id)["OrderStatus"])
	require.EqualValues(t, 7, s.call("refund.do", "orderId="+id, "amount=1")["errorCode"], "nothing is left")
}

func TestPagesAreWhereTheBrowserFindsThem(t *testing.T) {
	s := open(t, Config{PublicSuffix: ".localhost:8090"})
	for _, host := range []string{"testepg.arca.am", "testepg.arca.am.localhost:8090"} {
		r := httptest.NewRequest(http.MethodPost, "/payment/rest/register.do", nil)
		r.Host = host
		require.Equal(t, "http://testepg.arca.am.localhost:8090", s.double.origin(r))
	}
}

// The callback documentation: anything but 200 is told again every 30 seconds, three times.
func TestACallbackIsRepeatedUntilItIsAnsweredWith200(t *testing.T) {
	var mu sync.Mutex
	status, came := http.StatusNoContent, 0
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		came++
		w.WriteHeader(status)
	}))
	t.Cleanup(hook.Close)
	s := open(t, Config{CallbackURL: hook.URL})
	told := func(n int) {
		t.Helper()
		require.Eventually(t, func() bool {
			all := s.double.courier.Deliveries()
			mu.Lock()
			defer mu.Unlock()
			return came == n && s.double.Control.Idle() && len(all) > 0
		}, 5*time.Second, 5*time.Millisecond, "%d", n)
	}
	s.press(s.register(), "pay")
	told(1)
	for i := range 3 {
		s.double.Control.Clock.Advance(20 * time.Second) // the clock runs, too
		told(i + 1)
		s.double.Control.Clock.Advance(10 * time.Second)
		told(i + 2)
	}
	s.double.Control.Clock.Advance(24 * time.Hour)
	told(4)
	require.True(t, s.double.courier.Deliveries()[0].Done)

	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	s.press(s.register("orderNumber=o-2"), "pay")
	told(5)
	s.double.Control.Clock.Advance(time.Hour)
	told(5)
}
