package widgets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
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

// Repeatable is for routes that create something: they need an Idempotency-Key, and a repeated one gets the very answer that
// the first request got, whatever happened since, for whoever may ask for it now. That nothing is made twice does not depend
// on it: the services keep their keys themselves.
func (s *Service) Repeatable(c *gin.Context) {
	key := c.GetHeader("Idempotency-Key")
	if key == "" || len(key) > 200 {
		s.fail(c, &bad{"idempotency_key_missing", "Send an Idempotency-Key of 1 to 200 characters."})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequest))
	if err != nil {
		s.fail(c, &bad{"body_too_large", "The body cannot be read or is larger than 64 KiB."})
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	ctx, w, asked := c.Request.Context(), who(c), fingerprint(c, body)
	err = s.reaches(c, body)
	var earlier tenants.Answer
	if err == nil {
		err = s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			earlier, err = tx.Answered(ctx, key, asked)
			return err
		})
	}
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
		if err := s.DB.In(ctx, w.tenant, func(ctx context.Context, tx *tenants.Tx) error { return tx.KeepAnswer(ctx, key, asked, answer) }); err != nil {
			s.Log.WarnContext(ctx, "answer not kept", "tenant", w.tenant, "err", err) // a repetition is then answered with the present state
		}
	}
}

// fingerprint is what makes two requests the same one.
func fingerprint(c *gin.Context, body []byte) []byte {
	sum := sha256.Sum256(append([]byte(c.Request.Method+" "+c.Request.URL.Path+"\n"), body...))
	return sum[:]
}

// reaches refuses a request about another deal than the session's, wherever the request names it. The handler would refuse it
// too, but a kept answer is given before the handler is asked. A body that cannot be read has no kept answer.
func (s *Service) reaches(c *gin.Context, body []byte) error {
	if c.Param("id") != "" {
		_, err := s.invoiceID(c)
		return err
	}
	named := struct {
		Deal string `json:"deal_id"`
	}{c.Param("deal_id")}
	if named.Deal == "" {
		_ = json.Unmarshal(body, &named)
	}
	return who(c).within(named.Deal)
}
