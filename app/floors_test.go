package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/dealpay/dealpay/"

// floors of the house: a folder imports only lower ones, and folders of one floor don't know each other.
var floors = map[string]int{"app": 4, "widgets": 3, "tasks": 3, "oauth": 2, "payments": 1, "crm": 1, "tenants": 0, "migrations": 0}

// only says which folders may use a library; every other one may not.
var only = map[string][]string{
	"github.com/gin-gonic/gin":           {"app", "widgets", "oauth"},
	"github.com/hibiken/asynq":           {"app", "tasks"},
	"github.com/redis/go-redis/v9":       {"app", "tasks", "widgets", "oauth", "tenants"},
	"github.com/go-json-experiment/json": {"widgets"},
	"github.com/jackc/pgx/v5":            {"app", "tenants", "migrations", "payments", "oauth", "widgets", "tasks"},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	require.NoError(t, err)
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		require.NoError(t, d.Decode(&p))
		all = append(all, p)
	}
	require.Greater(t, len(all), 20)
	return all
}

// folder is the top-level folder of a package of ours, and whether it is a double.
func folder(path string) (name string, double bool) {
	rest := strings.TrimPrefix(path, module)
	name, _, _ = strings.Cut(rest, "/")
	return name, strings.HasSuffix(rest, "test") || strings.Contains(rest, "/demo")
}

func TestImportsPointDownTheFloors(t *testing.T) {
	for _, p := range packages(t) {
		from, double := folder(p.ImportPath)
		for _, path := range p.Imports {
			if !strings.HasPrefix(path, module) {
				continue
			}
			to, toDouble := folder(path)
			if to == "frontend" || double || from == "frontend" {
				continue
			}
			require.False(t, toDouble && from != "app", "%s imports the double %s", p.ImportPath, path)
			if from == to {
				continue
			}
			require.Greater(t, floors[from], floors[to], "%s must not import %s", p.ImportPath, path)
		}
	}
}

func TestPureFoldersUseOnlyTheStandardLibrary(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"payments/state" && p.ImportPath != module+"crm" {
			continue
		}
		for _, path := range p.Imports {
			first, _, _ := strings.Cut(path, "/")
			require.NotContains(t, first, ".", "%s imports %s", p.ImportPath, path)
		}
	}
}

func TestLibrariesStayInTheirFolders(t *testing.T) {
	for _, p := range packages(t) {
		from, double := folder(p.ImportPath)
		if double {
			continue
		}
		for _, path := range p.Imports {
			for library, allowed := range only {
				if path == library || strings.HasPrefix(path, library+"/") {
					require.Contains(t, allowed, from, "%s imports %s", p.ImportPath, path)
				}
			}
			if strings.HasPrefix(p.ImportPath, module+"crm/") {
				require.NotContains(t, path, "jackc/pgx", "adapters know no database")
			}
		}
	}
}
