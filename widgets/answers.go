package widgets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"

	"github.com/dealpay/dealpay/tenants"
	"github.com/gin-gonic/gin"
)

// written keeps a copy of what a handler answers.
type written struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (w *written) Write(b []byte) (int, error) {
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

func (w *written) WriteString(text string) (int, error) { return w.Write([]byte(text)) }

// Repeatable makes a route answer a repeated Idempotency-Key with the very answer that the first request got, whatever
// happened since. That nothing is done twice does not depend on it: the services keep their keys themselves.
func (s *Service) Repeatable(c *gin.Context) {
	key := c.GetHeader("Idempotency-Key")
	if key == "" || len(key) > 200 {
		c.Next()
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequest))
	if err != nil {
		s.fail(c, &bad{"body_too_large", "The body cannot be read or is larger than 64 KiB."})
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(append([]byte(c.Request.Method+" "+c.Request.URL.Path+"\n"), body...))
	ctx, w := c.Request.Context(), who(c)
	var earlier tenants.Answer
	err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		earlier, err = tx.Answered(ctx, key, sum[:])
		return err
	})
	if err != nil {
		s.fail(c, err)
		return
	}
	if earlier.Status != 0 {
		c.Header("Idempotent-Replayed", "true")
		c.Data(earlier.Status, "application/json; charset=utf-8", earlier.Body)
		c.Abort()
		return
	}
	copied := &written{ResponseWriter: c.Writer}
	c.Writer = copied
	c.Next()
	if status := c.Writer.Status(); status >= 200 && status < 300 {
		answer := tenants.Answer{Status: status, Body: copied.body.Bytes()}
		if err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error { return tx.KeepAnswer(ctx, key, sum[:], answer) }); err != nil {
			s.Log.WarnContext(ctx, "answer not kept", "tenant", w.tenant, "err", err) // a repetition is then answered with the present state
		}
	}
}
