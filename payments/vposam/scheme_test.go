package vposam

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The signature's scheme is the common one of webhooks, so its public vectors must pass.
func TestTheSchemeIsTheCommonOne(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/stripe/signature-vectors.json")
	if err != nil {
		t.Skip("the vectors are not beside this checkout")
	}
	var vectors struct {
		Secret  string
		Now     int64
		Body    string
		Vectors []struct {
			Name, Header string
			OK           bool
		}
	}
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors.Vectors)
	p := New(Config{}).(Refunding)
	for _, v := range vectors.Vectors {
		require.Equal(t, v.OK, p.verify(vectors.Secret, v.Header, []byte(vectors.Body), time.Unix(vectors.Now, 0)), v.Name)
	}
	require.False(t, p.verify("", vectors.Vectors[0].Header, []byte(vectors.Body), time.Unix(vectors.Now, 0)))
}
