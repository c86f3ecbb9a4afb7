// Package template is the auditor's source of files: CloudFormation and SAM
// templates, as YAML or JSON, and Terraform plans as `terraform show -json`
// writes them. It hands over the documents that the service would hold after
// deployment, so that the controls say of a template what they will say of the
// account.
//
// What it promises:
//
//   - A member whose value cannot be resolved is in the resource's Unknown,
//     with the reason, and so never decides a verdict; a file, nested stack or
//     macro that cannot be read is a Problem.
//   - Nothing is executed or fetched. A template may name a document in its own
//     folder or below; nothing else is opened beside the paths given.
//   - Time and memory are bounded whatever the files hold: their size, depth,
//     number of values, and what aliases and functions make of them.
//
// The usual call:
//
//	found, err := template.Read([]string{"template.yaml", "infra/"}, template.Options{Region: "us-east-1"})
package template

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/internal/posture"
)

// Options are what a template leaves to its deployment. The zero value knows
// nothing of it.
type Options struct {
	// Parameters are values for parameters of CloudFormation templates, by
	// name; they go before a parameter's default. A name that a template does
	// not have is ignored there.
	Parameters map[string]string

	// Region and Account are where templates will be deployed; empty: not
	// known. A plan says its Region itself.
	Region, Account string
}

// Bounds of one call.
const (
	maxFile      = 64 << 20 // bytes
	maxFiles     = 10_000   // of one folder
	maxResources = 100_000  // of one file
)

// Read reads files, and the templates and plans in folders and below. What is
// neither is passed over in a folder, and a Problem where it is named itself.
// Resources have the ID FILE#LOGICAL-ID; those of a plan have Terraform's
// address, and FILE# before it when more plans than one are read.
//
// The error says that no path could be opened at all. The collection is then
// nil.
func Read(paths []string, o Options) (*posture.Collection, error) {
	r := reader{options: &o, found: &posture.Collection{}}
	var errs []error
	for _, path := range paths {
		if err := r.path(path); err != nil {
			errs = append(errs, err)
			r.problem(path, 0, "it cannot be opened: %v", reasonOf(err))
		}
	}
	if len(errs) == len(paths) {
		if len(paths) == 0 {
			return nil, errors.New("read templates: no path is given")
		}
		return nil, fmt.Errorf("read templates: %w", errors.Join(errs...))
	}
	if len(r.plans) > 1 {
		for _, p := range r.plans {
			for _, found := range p.resources {
				found.ID = p.file + "#" + found.ID
			}
		}
	}
	return r.found, nil
}

// reasonOf is an error without the path, which stands before it.
func reasonOf(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

type reader struct {
	options *Options
	found   *posture.Collection
	plans   []plan
}

// A plan is a Terraform plan with what was found in it.
type plan struct {
	file      string
	resources []*posture.Resource
}

func (r *reader) problem(file string, line int, format string, args ...any) {
	where := file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", file, line)
	}
	r.found.Problems = append(r.found.Problems, posture.Problem{Where: where, Text: fmt.Sprintf(format, args...)})
}

// path reads a file, or what is in a folder. The error is that of opening it.
func (r *reader) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		data, err := load(path)
		if err == nil {
			r.file(path, data, true)
		}
		var large *tooLarge
		if errors.As(err, &large) {
			r.problem(path, 0, "%v", err)
			return nil
		}
		return err
	}
	if _, err := os.ReadDir(path); err != nil {
		return err
	}
	files := 0
	return filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.problem(name, 0, "it cannot be opened: %v", reasonOf(err))
			return nil
		case entry.IsDir():
			// Caches and copies: .git, .terraform, .aws-sam, node_modules.
			if base := entry.Name(); name != path && (strings.HasPrefix(base, ".") || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		case !isCandidate(name):
			return nil
		}
		if !entry.Type().IsRegular() {
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
				return nil
			}
		}
		if files++; files > maxFiles {
			r.problem(path, 0, "more than %d files may be templates; the others are not read", maxFiles)
			return fs.SkipAll
		}
		data, err := load(name)
		if err != nil {
			r.problem(name, 0, "it cannot be read: %v", reasonOf(err))
			return nil
		}
		r.file(name, data, false)
		return nil
	})
}

func isCandidate(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json", ".template":
		return true
	}
	return false
}

// tooLarge is the error of a file over its bound.
type tooLarge struct{}

func (*tooLarge) Error() string {
	return fmt.Sprintf("it is larger than %d MiB", maxFile>>20)
}

func load(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &tooLarge{}
	}
	return data, err
}

// file reads one file. named is whether a user gave it by its name, and so
// wants to hear what it is not.
func (r *reader) file(name string, data []byte, named bool) {
	before := len(r.found.Resources)
	defer func() {
		// Whatever a stranger's file holds, the others are still judged.
		if broken := recover(); broken != nil {
			r.found.Resources = r.found.Resources[:before]
			r.problem(name, 0, "the reader broke on it: %v", broken)
		}
	}()
	// Neither can do without these words, and most other files have none.
	relevant := bytes.Contains(data, []byte("AWS::")) || bytes.Contains(data, []byte("AWSTemplateFormatVersion")) ||
		bytes.Contains(data, []byte("format_version"))
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		if named {
			r.problem(name, 0, "it is Terraform's own form of a plan, or an archive: give what `terraform show -json %s` writes", filepath.Base(name))
		}
	case looksLikePlan(data):
		r.plan(name, data, named)
	case !relevant:
		if named {
			r.problem(name, 0, "it is neither a CloudFormation template nor a Terraform plan as JSON%s", hintFor(name))
		}
	case len(data) > maxTemplate:
		r.problem(name, 0, "it is larger than %d MiB, and CloudFormation takes templates of 1 MB", maxTemplate>>20)
	default:
		root, line, err := parse(data)
		switch {
		case err != nil:
			r.problem(name, line, "it cannot be read: %v", err)
		case root.member("Resources") == nil || root.member("Resources").kind != mapNode || !isTemplate(root):
			if named {
				r.problem(name, 0, "it is not a CloudFormation template: there are no Resources of an AWS type")
			}
		default:
			r.template(name, root)
		}
	}
}

func hintFor(name string) string {
	if strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") {
		return ": give what `terraform show -json PLAN` writes"
	}
	return ""
}

// isTemplate tells templates from other documents with Resources.
func isTemplate(root *node) bool {
	if root.has("AWSTemplateFormatVersion", "Transform") {
		return true
	}
	resources := root.member("Resources")
	for _, key := range resources.keys {
		if t := resources.at[key].member("Type"); t != nil && strings.Contains(t.text, "::") {
			return true
		}
	}
	return false
}

// location is FILE:LINE.
func location(file string, line int) string { return fmt.Sprintf("%s:%d", file, cmp.Or(line, 1)) }
