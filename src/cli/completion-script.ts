/**
 * What a shell is told, to ask `iommu-lab complete -- <words>` for suggestions. The scripts of zsh, fish and PowerShell are those of
 * @bomb.sh/tab, and so is what they are answered: a line each, a tab before its description, and a last line `:<number>`.
 *
 * That of bash is our own: the package's evaluates what was typed, so that `$(...)` would run at the press of a key, needs
 * bash-completion, and can be read only once; and bash takes words apart at `=`, where our values begin.
 */
import type { Shell } from './names.ts';

/** As cobra has them, and after it the scripts. */
export const DIRECTIVE = { files: 0, noSpace: 2, noFiles: 4 } as const;

const BASH = `# bash completion of iommu-lab
_iommu_lab() {
  local typed="\${COMP_LINE:0:COMP_POINT}" current line value directive=0
  local -a words
  read -ra words <<< "$typed"
  case "$typed" in *[[:space:]]) words+=('') ;; esac
  current="\${words[\${#words[@]}-1]}"
  # What readline replaces begins after the last of these.
  local kept="" begin
  for begin in = :; do
    case "$COMP_WORDBREAKS" in
      *"$begin"*) case "$current" in *"$begin"*)
        value="\${current%"$begin"*}$begin"
        [ \${#value} -gt \${#kept} ] && kept="$value" ;;
      esac ;;
    esac
  done
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :*) directive="\${line#:}" ;;
      '') ;;
      *)
        value="\${line%%$'\\t'*}"
        case "$value" in "$current"*) COMPREPLY+=("\${value#"$kept"}") ;; esac ;;
    esac
  done < <("\${words[0]}" complete -- "\${words[@]:1}" 2>/dev/null)
  if [ $((directive & 2)) -ne 0 ]; then compopt -o nospace 2>/dev/null; fi
  if [ $((directive & 4)) -eq 0 ] && [ \${#COMPREPLY[@]} -eq 0 ]; then compopt -o default 2>/dev/null; fi
}
complete -F _iommu_lab iommu-lab iommu-lab.mjs
`;

export async function scriptOf(shell: Shell): Promise<string> {
  if (shell === 'bash') return BASH;
  const { script } = await import('@bomb.sh/tab');
  // It only prints.
  let text = '';
  const { log } = console;
  console.log = (line: string) => {
    text += `${line}\n`;
  };
  try {
    script(shell, 'iommu-lab', 'iommu-lab');
  } finally {
    console.log = log;
  }
  return text;
}
