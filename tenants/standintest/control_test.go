package standintest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
)

func TestFaultsAreOrderedAndTakenBack(t *testing.T) {
	c := standintest.New()
	mux := http.NewServeMux()
	mux.Handle("/_control/", c.Handler())
	mux.Handle("/", c.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	ask := func(method, path, body string) int {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w.Code
	}
	order := func(body string) { require.Equal(t, http.StatusOK, ask("POST", "/_control/faults", body)) }
	order(`{"kind": "down"}`)
	require.Equal(t, []int{502, 204}, []int{ask("GET", "/", ""), ask("GET", "/", "")}, "once, when nothing is said")
	order(`{"kind": "down", "count": 50, "match": "/a"}`)
	order(`{"kind": "html_error", "count": -1}`)
	order(`{"kind": "down", "count": 0, "match": "/b"}`)
	require.Equal(t, []int{502, 403}, []int{ask("GET", "/a", ""), ask("GET", "/b", "")}, "another match takes nothing back")
	order(`{"kind": "down", "count": 0}`)
	require.Equal(t, 403, ask("GET", "/a", ""))
	order(`{"kind": "html_error", "count": 0}`)
	require.Equal(t, 204, ask("GET", "/a", ""))
	for _, bad := range []string{`{"kind": "fire"}`, `{"kind": "fire", "count": 0}`, `{`} {
		require.Equal(t, http.StatusBadRequest, ask("POST", "/_control/faults", bad), bad)
	}
}
