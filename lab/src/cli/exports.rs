//! The files to which `compare` writes its results.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{check_writable, write_file};
use crate::compare::Report;
use crate::study::Study;

/// The files.
#[derive(Debug, Args)]
pub(super) struct Exports {
    /// Also write all results to this file, every sample among them, as JSON
    #[arg(long, value_name = "FILE", visible_alias = "json")]
    export_json: Option<PathBuf>,
    /// Also write the sentences and the figures to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    export_markdown: Option<PathBuf>,
    /// Also write the figures to this file, as CSV
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,
    /// Also write a page with charts to this file, as HTML
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write the main chart to this file, as a picture in SVG
    #[arg(long, value_name = "FILE")]
    export_svg: Option<PathBuf>,
}

impl Exports {
    fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let Exports { export_json, export_markdown, export_csv, report, export_svg } = self;
        let all = [
            ("--export-json", export_json),
            ("--export-markdown", export_markdown),
            ("--export-csv", export_csv),
            ("--report", report),
            ("--export-svg", export_svg),
        ];
        all.into_iter().filter_map(|(option, file)| Some((option, file.as_deref()?)))
    }

    /// Checks that all files can be written.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.files().try_for_each(|(option, path)| check_writable(option, path))
    }

    /// Writes all files.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        self.write_each(|option| {
            Ok(match option {
                "--export-json" => json(report)?,
                "--export-markdown" => report.markdown(),
                "--export-csv" => report.csv(),
                "--export-svg" => report.svg(&command())?,
                _ => report.html(&command())?,
            })
        })
    }

    /// Writes all files of a study.
    pub(super) fn write_study(&self, study: &Study) -> Result<(), Failure> {
        self.write_each(|option| {
            Ok(match option {
                "--export-json" => json(study)?,
                "--export-markdown" => study.markdown(),
                "--export-csv" => study.csv(),
                "--export-svg" => study.svg(&command())?,
                _ => study.html(&command())?,
            })
        })
    }

    fn write_each(&self, text: impl Fn(&str) -> io::Result<String>) -> Result<(), Failure> {
        self.files().try_for_each(|(option, path)| write_file(option, path, &text(option)?))
    }
}

fn json(report: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(report).map_err(io::Error::from)? + "\n")
}

/// Returns the command line, by the name of the program.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("tripoll".to_string()).chain(arguments).collect::<Vec<_>>().join(" ")
}
