package widgets

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
)

func keyView(k tenants.APIKey) api.APIKey {
	return api.APIKey{Id: k.ID.String(), Name: k.Name, Role: api.Role(k.Role), Hint: k.Hint, CreatedBy: string(k.CreatedBy),
		CreatedAt: k.CreatedAt.UTC(), RevokedAt: utc(k.RevokedAt)}
}

// ListKeys answers GET /api-keys.
func (s *Service) ListKeys(c *gin.Context) {
	page := api.KeyPage{Items: []api.APIKey{}}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		keys, err := tx.APIKeys(ctx)
		for _, k := range keys {
			page.Items = append(page.Items, keyView(k))
		}
		return err
	})
	s.answer(c, http.StatusOK, page, err)
}

// CreateKey answers POST /api-keys.
func (s *Service) CreateKey(c *gin.Context) {
	var in api.KeyRequest
	raw, err := decode(c, &in)
	name := strings.TrimSpace(in.Name)
	switch {
	case err != nil:
	case name == "" || utf8.RuneCountInString(name) > 80 || strings.ContainsFunc(name, unicode.IsControl):
		err = &payments.Invalid{Code: "name_unusable", Detail: "Give the key a name of at most 80 characters."}
	case !tenants.Role(in.Role).Allows(tenants.Manager):
		err = &payments.Invalid{Code: "role_unknown", Detail: "The role must be manager, accountant or admin."}
	}
	var answer tenants.Answer
	if err == nil {
		answer, err = s.newKey(c, name, tenants.Role(in.Role), raw)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	c.Data(answer.Status, "application/json; charset=utf-8", answer.Body)
}

// newKey makes a key and keeps the answer in the same transaction: a secret that was not kept could never be shown again, and
// whoever asks with the same Idempotency-Key at the same moment gets it too.
func (s *Service) newKey(c *gin.Context, name string, role tenants.Role, request []byte) (answer tenants.Answer, err error) {
	w, key, asked := who(c), c.GetHeader("Idempotency-Key"), fingerprint(c, request)
	err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
		_, seen, err := tx.Once(ctx, key, asked, "api_key")
		if err != nil {
			return err
		}
		if seen {
			answer, err = tx.Answered(ctx, key, asked)
			return err
		}
		made, clear, err := tx.NewAPIKey(ctx, name, role, w.by.Actor)
		if err != nil {
			return err
		}
		body, err := json.Marshal(api.NewKey{Key: keyView(made), Secret: string(clear)})
		answer = tenants.Answer{Status: http.StatusCreated, Body: body}
		return errors.Join(err, tx.KeepAnswer(ctx, key, asked, answer))
	})
	return answer, err
}

// RevokeKey answers DELETE /api-keys/{id}.
func (s *Service) RevokeKey(c *gin.Context) {
	w := who(c)
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		err = payments.ErrNotFound
	} else {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			return tx.RevokeAPIKey(ctx, id, w.by.Actor)
		})
	}
	s.empty(c, err)
}
