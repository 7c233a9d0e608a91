package widgets

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/register"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

// GetMapping answers GET /registers/{acquirer}/mapping.
func (s *Service) GetMapping(c *gin.Context) {
	var m register.Mapping
	if _, ok := s.Payments.Providers[c.Param("acquirer")]; !ok {
		s.fail(c, payments.ErrNotFound)
		return
	}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) (err error) {
		m, err = payments.MappingOf(ctx, tx, c.Param("acquirer"))
		return err
	})
	s.answer(c, http.StatusOK, m, err)
}

// PutMapping answers PUT /registers/{acquirer}/mapping.
func (s *Service) PutMapping(c *gin.Context) {
	var m register.Mapping
	_, err := decode(c, &m)
	if err == nil {
		err = s.Payments.SaveMapping(c.Request.Context(), who(c).tenant, who(c).by, c.Param("acquirer"), m)
	}
	s.answer(c, http.StatusOK, m, err)
}

// maxRegister bounds an uploaded register.
const maxRegister = 8 << 20

// ImportRegister answers POST /registers: the body is the file.
func (s *Service) ImportRegister(c *gin.Context) {
	file, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRegister))
	if err != nil {
		s.fail(c, &bad{"body_too_large", "The file cannot be read or is larger than 8 MiB. Split it."})
		return
	}
	r, err := s.Payments.Import(c.Request.Context(), who(c).tenant, who(c).by, c.Query("acquirer"), file)
	s.answer(c, http.StatusCreated, registerView(r), err)
}

// ListRegisters answers GET /registers.
func (s *Service) ListRegisters(c *gin.Context) {
	before, err := beforeID(c)
	page := api.RegisterPage{Items: []api.Register{}}
	if err == nil {
		err = s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
			list, err := payments.Registers(ctx, tx, before, pageSize+1)
			list, page.Next = cut(list, func(r payments.Register) string { return r.ID.String() })
			for _, r := range list {
				page.Items = append(page.Items, registerView(r))
			}
			return err
		})
	}
	s.answer(c, http.StatusOK, page, err)
}

func registerView(r payments.Register) api.Register {
	v := api.Register{Id: r.ID.String(), Acquirer: r.Acquirer, Lines: r.Lines, Known: r.Known, Unmatched: r.Unmatched, Skipped: r.Skipped, ImportedBy: string(r.ImportedBy),
		ImportedAt: r.ImportedAt.UTC()}
	if r.FirstDay != nil && r.LastDay != nil {
		first, last := r.FirstDay.Format(time.DateOnly), r.LastDay.Format(time.DateOnly)
		v.FirstDay, v.LastDay = &first, &last
	}
	return v
}
