package widgets

import (
	"context"
	"net/http"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

// meet notes a visitor whom the CRM confirmed, and returns what they may do: administrators of the CRM everything, others
// what an administrator of ours allowed them.
func (s *Service) meet(ctx context.Context, v crm.Visitor, t tenants.Tenant) (role tenants.Role, err error) {
	err = s.DB.In(ctx, t.ID, func(ctx context.Context, tx *tenants.Tx) error {
		p, err := tx.Meet(ctx, tenants.Person{ID: v.UserID, Name: v.UserName, Chief: v.Admin, SeenAt: s.Now()})
		role = p.May()
		return err
	})
	return role, err
}

func personView(p tenants.Person) api.Person {
	return api.Person{Id: p.ID, Name: p.Name, Role: api.Role(p.May()), Administrator: p.Chief, SeenAt: p.SeenAt.UTC(), ChangedBy: string(p.ChangedBy)}
}

// ListPeople answers GET /people.
func (s *Service) ListPeople(c *gin.Context) {
	page := api.PersonPage{Items: []api.Person{}}
	err := s.DB.In(c.Request.Context(), who(c).tenant, func(ctx context.Context, tx *tenants.Tx) error {
		people, err := tx.People(ctx)
		for _, p := range people {
			page.Items = append(page.Items, personView(p))
		}
		return err
	})
	s.answer(c, http.StatusOK, page, err)
}

// PutPerson answers PUT /people/{id}.
func (s *Service) PutPerson(c *gin.Context) {
	w, id := who(c), c.Param("id")
	var in api.PersonRequest
	_, err := decode(c, &in)
	if err == nil && !tenants.Role(in.Role).Allows(tenants.Manager) {
		err = &payments.Invalid{Code: "role_unknown", Detail: "The role must be manager, accountant or admin."}
	}
	var p tenants.Person
	if err == nil {
		err = s.DB.In(c.Request.Context(), w.tenant, func(ctx context.Context, tx *tenants.Tx) error {
			p, err = tx.SetRole(ctx, id, tenants.Role(in.Role), w.by.Actor, s.Now())
			return err
		})
	}
	s.answer(c, http.StatusOK, personView(p), err)
}
