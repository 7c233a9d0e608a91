package fastshifttest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const number = "6a1f0c52-7d7e-4f0e-9d0b-2f1f6a1f0c52"

const body = `{"order_number":"` + number + `","amount":1000,"description":"Deposit","callback_url":"https://app.example/back?a=1","external_order_id":"o"}`

// say sends a request and returns the status and the API's word.
func send(t *testing.T, server *httptest.Server, method, path, text, bearer string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, server.URL+path, strings.NewReader(text))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	out := map[string]any{}
	_ = json.NewDecoder(res.Body).Decode(&out)
	return res.StatusCode, out
}

func TestTheDoubleAnswersAsDocumented(t *testing.T) {
	double := New(Config{})
	server := httptest.NewServer(double)
	defer server.Close()
	defer double.Close()
	register, status := "/api/en/vpos/order/register", "/api/en/vpos/order/status/"
	for _, c := range []struct {
		method, path, old, new, bearer string
		status                         int
		word                           string
	}{
		{"POST", register, "", "", "wrong", 401, "UNAUTHORIZED"},
		{"POST", register, "1000", "10.5", "", 422, "INVALID_DATA"},
		{"POST", register, "1000", "0", "", 422, "INVALID_DATA"},
		{"POST", register, "1000", `"1000"`, "", 422, "INVALID_DATA"},
		{"POST", register, "6a1f0c52-", "", "", 422, "INVALID_DATA"},
		{"POST", register, "https://app.example/back", "back", "", 422, "INVALID_DATA"},
		{"POST", register, `"description"`, `"colour"`, "", 422, "INVALID_DATA"},
		{"GET", status + number, "", "", "", 404, "NOT_FOUND"},
		{"POST", register, "", "", "", 200, "OK"},
		{"POST", register, "", "", "", 400, "ERROR"},
		{"GET", status + number, "", "", "", 200, "OK"},
		{"GET", status + "o", "", "", "", 404, "NOT_FOUND"},
	} {
		bearer := "fastshift-test-token" + c.bearer
		code, out := send(t, server, c.method, c.path, strings.Replace(body, c.old, c.new, 1), bearer)
		require.Equal(t, c.status, code, "%s %v", c.new, out)
		require.Equal(t, c.word, out["status"])
	}
	require.Len(t, double.Books(), 1)
}

func TestTheCustomerComesBackWithAHint(t *testing.T) {
	double := New(Config{Repeatable: true})
	server := httptest.NewServer(double)
	defer server.Close()
	defer double.Close()
	_, out := send(t, server, "POST", "/api/en/vpos/order/register", body, "fastshift-test-token")
	_, again := send(t, server, "POST", "/api/en/vpos/order/register", body, "fastshift-test-token")
	require.Equal(t, out, again)
	page := out["data"].(map[string]any)["redirect_url"].(string)
	direct := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := direct.PostForm(page, map[string][]string{"do": {"pay"}})
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, "https://app.example/back?a=1&order_number="+number+"&status=completed", res.Header.Get("Location"))
}
