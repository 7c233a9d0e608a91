package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func TestEveryAnswerNamesItsRequest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	in := s.accounts[crm.Bitrix24].create("1")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/livez", 200}, {http.MethodGet, "/livez/", 301}, {http.MethodPost, "/api/v1/invoices/", 307}, {http.MethodGet, "/nothing", 404},
		{http.MethodGet, "/api/v1/nothing/", 404}, {http.MethodDelete, "/livez", 405}, {http.MethodGet, "/assets/", 404}, {http.MethodHead, "/bitrix24/card", 200},
		{http.MethodOptions, "/api/v1/session", 204}, {http.MethodGet, "/hooks/", 404}, {http.MethodGet, "/p/" + in.Url[len(in.Url)-4:], 404},
	} {
		got := s.send(c.method, s.app+c.path, nil, "X-Request-Id", "asked-as-1")
		require.NoError(t, got.Err)
		require.Equal(t, c.status, got.Status, "%s %s: %s", c.method, c.path, got.Body)
		require.Equal(t, []string{"asked-as-1"}, got.Header.Values("X-Request-Id"), c.path)
		require.Equal(t, "nosniff", got.Header.Get("X-Content-Type-Options"), c.path)
		require.NotEmpty(t, s.send(c.method, s.app+c.path, nil, "X-Request-Id", "<script>").Header.Get("X-Request-Id"), c.path)
	}
}

func TestAnAnswerAfterAPanicNamesItsRequest(t *testing.T) {
	t.Parallel()
	h := &house{log: slog.New(slog.DiscardHandler)}
	engine := gin.New()
	engine.Use(h.recover, h.observe)
	engine.GET("/", func(*gin.Context) { panic("broken") })
	w := httptest.NewRecorder()
	identify(engine).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotEmpty(t, w.Header().Get("X-Request-Id"))
	require.Contains(t, w.Body.String(), w.Header().Get("X-Request-Id"))
	require.NotContains(t, w.Body.String(), "broken")
}
