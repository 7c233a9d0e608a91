package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func TestAssetsComeCompressedAndStayInTheCacheWhileTheirNameIsTheirContent(t *testing.T) {
	script := strings.Repeat("export const a = 1\n", 500)
	r := gin.New()
	r.GET("/assets/*file", assets(fstest.MapFS{"card-Ab_-9xYz.js": {Data: []byte(script)}, "pay.js": {Data: []byte(script)}, "card.html": {}}))
	get := func(path, accepted string) *http.Response {
		q := httptest.NewRequest(http.MethodGet, path, nil)
		q.Header.Set("Accept-Encoding", accepted)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		return w.Result()
	}
	a := get("/assets/card-Ab_-9xYz.js", "gzip, br")
	require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	require.Contains(t, a.Header.Get("Cache-Control"), "immutable")
	require.Contains(t, a.Header.Get("Vary"), "Accept-Encoding")
	unzipped, err := gzip.NewReader(a.Body)
	require.NoError(t, err)
	body, err := io.ReadAll(unzipped)
	require.NoError(t, err)
	require.Equal(t, script, string(body))

	plain := get("/assets/pay.js", "identity")
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	require.NotContains(t, plain.Header.Get("Cache-Control"), "immutable")
	gone := get("/assets/card-00000000.js", "gzip")
	require.Equal(t, http.StatusNotFound, gone.StatusCode)
	require.NotContains(t, gone.Header.Get("Cache-Control"), "immutable")
	require.Equal(t, http.StatusNotFound, get("/assets/card.html", "gzip").StatusCode)
}

func TestAMarketplaceFindsItsAddresses(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, page := range []string{"install", "app", "card"} {
		require.Equal(t, http.StatusOK, s.send(http.MethodHead, s.app+"/bitrix24/"+page, nil).Status, page)
		require.Equal(t, http.StatusMethodNotAllowed, s.send(http.MethodGet, s.app+"/bitrix24/"+page, nil).Status, page)
	}
}
