package telcelltest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// post sends a form and returns the status and the text.
func post(t *testing.T, address string, form url.Values) (int, string) {
	t.Helper()
	res, err := http.PostForm(address, form)
	require.NoError(t, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func form(pairs ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

func newBill(sum, days string) url.Values {
	return form("bill:issuer", "shop@example.am", "buyer", "b", "currency", "51", "sum", sum, "description", "SW52", "issuer_id", "YXR0XzAz",
		"valid_days", days, "checksum", Sum("test-shop-key", "shop@example.am", "b", "51", sum, "SW52", days, "YXR0XzAz"))
}

func TestTheDoubleRefusesWhatIsNotExact(t *testing.T) {
	double := New(Config{})
	server := httptest.NewServer(double)
	defer server.Close()
	defer double.Close()
	gateway := server.URL + "/invoices"
	for _, c := range []struct {
		form   url.Values
		status int
		text   string
	}{
		{newBill("15000.00", "1"), 200, "4815162342"},
		{newBill("15000.00", "1"), 200, "4815162343"},
		{newBill("0", "1"), 400, "BAD_VALUE"},
		{newBill("1e3", "1"), 400, "BAD_VALUE"},
		{newBill("10", "0"), 400, "BAD_VALUE"},
		{form("bill:issuer", "shop@example.am", "checksum", "x"), 400, "BAD_FIELDS"},
		{form("check_bill:issuer", "shop@example.am", "invoice", "1", "colour", "red", "checksum", "x"), 400, "BAD_FIELDS"},
		{form("check_bill:issuer", "shop@example.am", "invoice", "4815162342", "checksum", Sum("another", "shop@example.am4815162342")), 403, "WRONG_CHECKSUM"},
		{form("check_bill:issuer", "other@example.am", "invoice", "1", "checksum", Sum("test-shop-key", "other@example.am1")), 403, "WRONG_CHECKSUM"},
		{form("check_bill:issuer", "shop@example.am", "invoice", "1", "checksum", Sum("test-shop-key", "shop@example.am1")), 404, "NOT_FOUND"},
		{form("cancel_bill:issuer", "shop@example.am", "invoice", "4815162342", "checksum", Sum("test-shop-key", "shop@example.am4815162342")), 409, "NOT_POSSIBLE"},
		{form("refund_bill:issuer", "shop@example.am", "checksum", "x"), 400, "UNKNOWN_OPERATION"},
		{form("action", "PostInvoice"), 400, "BAD_FIELDS"},
		{form(), 400, "UNKNOWN_OPERATION"},
	} {
		status, text := post(t, gateway, c.form)
		require.Equal(t, c.status, status, c.form)
		require.Equal(t, c.text, text)
	}
	require.Len(t, double.Books(), 2)
	status, _ := post(t, server.URL+"/_control/faults", nil)
	require.Equal(t, 400, status)
}

func TestAnAnswerHasEveryDocumentedLineAndItsChecksums(t *testing.T) {
	double := New(Config{})
	server := httptest.NewServer(double)
	defer server.Close()
	defer double.Close()
	_, number := post(t, server.URL+"/proto_test2/invoices", newBill("15000.00", "1"))
	_, text := post(t, server.URL+"/invoices", form("check_bill:issuer", "shop@example.am", "invoice", number, "checksum",
		Sum("test-shop-key", "shop@example.am"+number)))
	content, sums, found := strings.Cut(text, "checksum=")
	require.True(t, found)
	require.True(t, strings.HasPrefix(sums, Sum("test-shop-key", content)+"\nchecksum2="))
	var names []string
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	require.Equal(t, "invoice status sum currency buyer description issuer_id issue_time valid_time received_time paid_time checksum checksum2",
		strings.Join(names, " "))
	require.Contains(t, text, "status=NEW\n")
}

func TestTheShopDiesOnRequest(t *testing.T) {
	double := New(Config{})
	server := httptest.NewServer(double)
	defer server.Close()
	defer double.Close()
	for _, step := range []struct {
		name, body string
		want       int
	}{{"faults", `{"kind":"revoke"}`, 403}, {"clock", `{"advance":"1h"}`, 403}, {"reset", "", 200}} {
		res, err := http.Post(server.URL+"/_control/"+step.name, "application/json", strings.NewReader(step.body))
		require.NoError(t, err)
		res.Body.Close()
		status, _ := post(t, server.URL+"/invoices", newBill("15000.00", "1"))
		require.Equal(t, step.want, status, step.name)
	}
}
